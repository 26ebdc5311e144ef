"""The machines that are installed, found through entry points."""

from __future__ import annotations

from pgqmodel.errors import UsageError
from pgqmodel.machine.machine import Machine
from pgqmodel.machine.upkeep import with_upkeep
from pgqmodel.registry import MACHINES, installed
from pgqmodel.target import Target

__all__ = ["machines", "machines_for"]


def machines() -> dict[str, type[Machine]]:
    """Every machine that is installed, by name, in the order of the names."""
    found = installed(MACHINES, type)
    for name, machine in found.items():
        if not issubclass(machine, Machine):
            message = (
                f"the entry point {name!r} of {MACHINES} gives {machine!r}; expected a subclass of Machine. Correct "
                "the package that declares it, or uninstall it"
            )
            raise UsageError(message)
    return found


def machines_for(target: Target) -> list[type[Machine]]:
    """The machines that fit a target: it has the operations that they need."""
    return [with_upkeep(machine, target) for machine in machines().values() if machine.needs <= set(target.operations)]
