"""Finds installed objects by name: the entry points of a group, our own and those of other packages.

Names are listed without an import of the objects, and this module knows neither machines nor simulations: a process
that explores must not load a web server because a simulation needs one.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from pgqmodel.errors import UsageError

__all__ = ["MACHINES", "SIMULATIONS", "TARGETS", "entries", "installed", "names"]

MACHINES, SIMULATIONS, TARGETS = "pgqmodel.machines", "pgqmodel.sims", "pgqmodel.targets"
"""The groups of entry points."""

T = TypeVar("T")


def entries(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group, by name, in the order of the names. Imports none of them."""
    return {entry.name: entry for entry in sorted(entry_points(group=group), key=lambda entry: entry.name)}


def names(group: str) -> list[str]:
    """The names in a group, in the order of the alphabet. Imports nothing."""
    return list(entries(group))


def installed(group: str, kind: type[T]) -> dict[str, T]:
    """All objects of a group, imported; UsageError for an entry point that is not of the expected kind."""
    found: dict[str, T] = {}
    for name, entry in entries(group).items():
        thing = entry.load()
        if not isinstance(thing, kind):
            message = (
                f"the entry point {name!r} of {group} gives {thing!r}; expected a {kind.__name__}. Correct the package "
                "that declares it, or uninstall it"
            )
            raise UsageError(message)
        found[name] = thing
    return found
