"""What a target says of its operations beyond the common ones: maintenance of its own, and operations that add jobs.

Where jobs are delivered at most once, a claim may end its job.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from pgqmodel.operations.operation import Move, Operation, Role, whatever_comes
from pgqmodel.operations.words import ABSENT, FINAL, UNHELD, Meaning, State, Status

__all__ = ["adding", "ending_at_once", "maintenance"]

_ADDS = tuple(Move(ABSENT, state, Meaning.ADDED) for state in State if state is not State.RUNNING)
"""A job that nobody asked for may be over from the start, as a dead letter is that only tells of another job."""


_ENDS = tuple(Move(before, after, Meaning.CLAIMED) for before in UNHELD for after in (ABSENT, State.COMPLETED))


def maintenance(name: str, moves: Iterable[tuple[State | None, State | None]]) -> Operation:
    """An operation that maintenance clients run, and that may do to a job what `moves` say."""
    return Operation(
        name=name,
        role=Role.MAINTENANCE,
        moves=tuple(Move(before, after, _meaning(before, after)) for before, after in moves),
        accepts=whatever_comes,
        answers={Status.OK: "done"},
        looks_for_jobs=True,
    )


def _meaning(before: State | None, after: State | None) -> Meaning:
    """What a move of maintenance means: a job that it takes from a holder is reclaimed, whatever becomes of it."""
    if before is ABSENT:
        return Meaning.ADDED
    if before is State.RUNNING:
        return Meaning.RECLAIMED
    return Meaning.REMOVED if before in FINAL and after is ABSENT else Meaning.MOVED


def adding(operation: Operation) -> Operation:
    """The operation, which may also add jobs."""
    known = {(move.before, move.after) for move in operation.moves}
    return evolve(
        operation, moves=(*operation.moves, *(move for move in _ADDS if (move.before, move.after) not in known))
    )


def ending_at_once(operation: Operation) -> Operation:
    """A claim that may end the job that it takes, or remove its row: nobody can take it a second time."""
    return evolve(operation, moves=(*operation.moves, *_ENDS), removal=State.COMPLETED)
