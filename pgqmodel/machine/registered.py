"""The machines that are installed, found through entry points."""

from __future__ import annotations

from collections.abc import Sequence

from pgqmodel.errors import UsageError
from pgqmodel.machine.machine import Machine
from pgqmodel.machine.programs import Programs
from pgqmodel.machine.upkeep import with_upkeep
from pgqmodel.machine.vocabulary import Vocabulary
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


def machines_for(target: Target) -> Sequence[type[Vocabulary]]:
    """The machines that fit a target: it has the operations that they need, or its workers are programs."""
    if target.command is not None:
        return [Programs]
    return [with_upkeep(machine, target) for machine in machines().values() if machine.needs <= set(target.operations)]
