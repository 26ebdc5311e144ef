"""Simulations at full speed: real processes, real faults, measurements with thresholds, verdicts by the promises.

    SIMULATION = Simulation(name="mine", says="...", load=load, sizes={"jobs": 1000}, thresholds=(...))

`load` gets a `Stage`: it starts workers, enqueues, causes faults, and drains. Commits are read from the write-ahead
log, calls and answers from the clients' histories; the model judges both.
"""

from __future__ import annotations

from pgqmodel.client import ClaimedJob, NewJob, Queue
from pgqmodel.simulation.crew import Life
from pgqmodel.simulation.measures import Measures
from pgqmodel.simulation.simulation import Simulation
from pgqmodel.simulation.stage import Stage
from pgqmodel.simulation.subscribers import SubscriberOptions
from pgqmodel.simulation.thresholds import Threshold

__all__ = ["ClaimedJob", "Life", "Measures", "NewJob", "Queue", "Simulation", "Stage", "SubscriberOptions", "Threshold"]
