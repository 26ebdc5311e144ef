"""The simulations that are installed, found through entry points."""

from __future__ import annotations

from pgqmodel.registry import SIMULATIONS, installed
from pgqmodel.simulation.simulation import Simulation

__all__ = ["simulations"]


def simulations() -> dict[str, Simulation]:
    """Every simulation that is installed, by name, in the order of the names."""
    return installed(SIMULATIONS, Simulation)
