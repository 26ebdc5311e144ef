"""The status of a run, which follows from the states of its jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet

from pgqmodel.operations import FINAL, State

__all__ = ["AS_THE_JOBS", "Shows", "shows", "status"]

_PENDING, _COMPLETED, _RUNNING = State.PENDING, State.COMPLETED, State.RUNNING
_NEAREST: dict[State, tuple[State, ...]] = {
    _PENDING: (State.WAITING, _RUNNING),
    _RUNNING: (_PENDING,),
    State.FAILED: (State.CANCELLED,),
    State.CANCELLED: (State.FAILED, _COMPLETED),
}
"""What a run may show in place of a status for which its target has no word."""

Shows = Mapping[State, AbstractSet[State]]
"""By the status that follows from a run's jobs: what the run may show. What is absent is shown as it is."""
AS_THE_JOBS: Shows = {_PENDING: {_PENDING, State.WAITING}}
"""The rule of a target whose runs have no words of their own."""


def shows(words: Iterable[Collection[State]]) -> Shows:
    """The rule that the words of runs make, each given as the states that it stands for; it is read as the first."""
    stands: dict[State, set[State]] = {}
    for states in words:
        for state in states:
            stands.setdefault(state, set()).add(next(iter(states)))
    if _PENDING in stands:
        stands[_PENDING] |= stands.get(State.WAITING, set())
    missing = {state: near for state, near in _NEAREST.items() if state not in stands}
    return stands | {
        state: set().union(*(stands.get(other, set()) for other in near)) or {state} for state, near in missing.items()
    }


def status(states: Collection[State]) -> State:
    """The status of a run with jobs in these states; one that waits to be promoted has not begun."""
    present = {_PENDING if state is State.WAITING else state for state in states}
    if len(present) == 1 and present <= {_PENDING, _COMPLETED}:
        return present.pop()
    if not present <= FINAL:
        return _RUNNING
    return State.FAILED if State.FAILED in present else State.CANCELLED
