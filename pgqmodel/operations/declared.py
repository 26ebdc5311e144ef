"""Operations that a target declares: its own maintenance operations, and common operations that also add jobs.

If jobs are delivered at most once, a claim may end its job.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from pgqmodel.operations.operation import Move, Operation, Role, whatever_comes
from pgqmodel.operations.words import ABSENT, FINAL, UNHELD, Meaning, State, Status

__all__ = ["adding", "ending_at_once", "maintenance"]

_ADDS = tuple(Move(ABSENT, state, Meaning.ADDED) for state in State if state is not State.RUNNING)
"""An added job may be over from the start, such as a dead letter, which only tells of another job."""


_ENDS = tuple(Move(before, after, Meaning.CLAIMED) for before in UNHELD for after in (ABSENT, State.COMPLETED))


def maintenance(name: str, moves: Iterable[tuple[State | None, State | None]]) -> Operation:
    """An operation for maintenance clients that may make the changes in `moves`."""
    return Operation(
        name=name,
        role=Role.MAINTENANCE,
        moves=tuple(Move(before, after, _meaning(before, after)) for before, after in moves),
        accepts=whatever_comes,
        answers={Status.OK: "done"},
        looks_for_jobs=True,
    )


def _meaning(before: State | None, after: State | None) -> Meaning:
    """The meaning of a maintenance move: if it takes a job from its holder, the job is reclaimed."""
    if before is ABSENT:
        return Meaning.ADDED
    if before is State.RUNNING:
        return Meaning.RECLAIMED
    return Meaning.REMOVED if before in FINAL and after is ABSENT else Meaning.MOVED


def adding(operation: Operation) -> Operation:
    """The same operation with the right to add jobs."""
    known = {(move.before, move.after) for move in operation.moves}
    return evolve(
        operation, moves=(*operation.moves, *(move for move in _ADDS if (move.before, move.after) not in known))
    )


def ending_at_once(operation: Operation) -> Operation:
    """A claim that may end the job that it takes, or remove its row: nobody can take it a second time."""
    return evolve(operation, moves=(*operation.moves, *_ENDS), removal=State.COMPLETED)
