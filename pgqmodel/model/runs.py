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
"""The statuses that a run may show instead, if its target has no word for the right one."""

Shows = Mapping[State, AbstractSet[State]]
"""For each status that follows from a run's jobs, the statuses that the run may show; an absent one means itself."""
AS_THE_JOBS: Shows = {_PENDING: {_PENDING, State.WAITING}}
"""The rule for a target without words of its own for runs."""


def shows(words: Iterable[Collection[State]]) -> Shows:
    """The rule made from the words of runs. Each word is given as its states; a reader takes the first of them."""
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
    """The status of a run with jobs in these states; a job that waits to be promoted has not begun."""
    present = {_PENDING if state is State.WAITING else state for state in states}
    if len(present) == 1 and present <= {_PENDING, _COMPLETED}:
        return present.pop()
    if not present <= FINAL:
        return _RUNNING
    return State.FAILED if State.FAILED in present else State.CANCELLED
