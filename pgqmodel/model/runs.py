"""The status of a run, which follows from the states of its jobs."""

from __future__ import annotations

from collections.abc import Collection

from pgqmodel.operations import FINAL, State

__all__ = ["status"]

_PENDING, _COMPLETED, _RUNNING = State.PENDING, State.COMPLETED, State.RUNNING


def status(states: Collection[State]) -> State:
    """The status of a run with jobs in these states."""
    present = set(states)
    if len(present) == 1 and present <= {_PENDING, _COMPLETED}:
        return present.pop()
    if not present <= FINAL:
        return _RUNNING
    return State.FAILED if State.FAILED in present else State.CANCELLED
