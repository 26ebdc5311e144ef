"""What is found by name: machines and simulations of the catalogues, ours and other people's, through entry points."""

from __future__ import annotations

from importlib.metadata import entry_points

from pgqmodel.errors import UsageError
from pgqmodel.machine.machine import Machine
from pgqmodel.simulation.simulation import Simulation
from pgqmodel.target import Target

__all__ = ["machines", "machines_for", "simulations"]

GROUP = "pgqmodel.machines"
SIMULATIONS = "pgqmodel.sims"


def machines() -> dict[str, type[Machine]]:
    """Every machine that is installed, by name, in the order of the names."""
    found: dict[str, type[Machine]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        machine = entry.load()
        if not (isinstance(machine, type) and issubclass(machine, Machine)):
            message = f"the entry point {entry.name!r} of {GROUP} gives {machine!r}; expected a subclass of Machine"
            raise UsageError(message)
        found[entry.name] = machine
    return found


def machines_for(target: Target) -> list[type[Machine]]:
    """The machines that have something to say about a target: those whose operations it has."""
    return [machine for machine in machines().values() if machine.needs <= set(target.operations)]


def simulations() -> dict[str, Simulation]:
    """Every simulation that is installed, by name, in the order of the names."""
    found: dict[str, Simulation] = {}
    for entry in sorted(entry_points(group=SIMULATIONS), key=lambda entry: entry.name):
        simulation = entry.load()
        if not isinstance(simulation, Simulation):
            message = f"the entry point {entry.name!r} of {SIMULATIONS} gives {simulation!r}; expected a Simulation"
            raise UsageError(message)
        found[entry.name] = simulation
    return found
