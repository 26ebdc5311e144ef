"""A job's life as one table: the changes of state that each operation may make, and their meanings.

The operations declare their rows; a few rows belong to every operation, to the clock, or to the end of a session. The
model looks changes up in the table, and the diagram in the documentation is drawn from it. Conditions on the caller,
the current claim and the lease are not in the table; see `step`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from pgqmodel.catalogue import Catalogue
from pgqmodel.operations import ABSENT, FINAL, OPERATIONS, Meaning, Move, Operation, State

__all__ = ["ANYBODY", "CLOCK", "SESSION_END", "UNLAWFUL", "Transition", "doers", "lawful", "life"]

ANYBODY = "anybody"
CLOCK = "the clock"
"""Not an operation: a change by the passing of time alone, if a job's state follows the clock."""
SESSION_END = "session end"
"""Not an operation: a change by the end of a session, if a lock of the session is the lease."""


@frozen
class Transition:
    """One row of the table."""

    operation: str
    before: State | None
    after: State | None
    meaning: Meaning


_BESIDE: dict[str, tuple[Move, ...]] = {
    SESSION_END: tuple(Move(State.RUNNING, after, Meaning.RELEASED) for after in (State.PENDING, State.WAITING)),
    CLOCK: (
        Move(State.RUNNING, State.PENDING, Meaning.LAPSED),
        Move(State.RUNNING, State.FAILED, Meaning.LAPSED),
        Move(State.PENDING, State.FAILED, Meaning.LAPSED),
        Move(State.PENDING, State.CANCELLED, Meaning.LAPSED),
    ),
    ANYBODY: (
        Move(State.WAITING, State.PENDING, Meaning.MOVED),
        *(Move(state, ABSENT, Meaning.REMOVED) for state in State if state in FINAL),
    ),
}
"""Changes by the end of a session, by the clock, and by any operation: each operation may promote a waiting job, or
remove the row of a finished one."""
_ASIDE = {Meaning.CASCADED: 1, Meaning.MOVED: 2, Meaning.REMOVED: 3}


def life(operations: Catalogue[Operation] = OPERATIONS) -> tuple[Transition, ...]:
    """Every lawful change of a job; side effects of operations come last."""
    every = {name: operation.moves for name, operation in operations.items()} | _BESIDE
    rows = [Transition(name, move.before, move.after, move.meaning) for name, moves in every.items() for move in moves]
    return tuple(sorted(rows, key=lambda row: _ASIDE.get(row.meaning, 0)))


Lawful = Mapping[tuple[str, State | None, State | None], Meaning]


def lawful(operations: Catalogue[Operation]) -> Lawful:
    """(operation, before, after) -> the meaning of the change; if absent, the operation may not make it."""
    return operations.table(_lawful)


def _lawful(operations: Catalogue[Operation]) -> Lawful:
    return {
        (name, row.before, row.after): row.meaning
        for row in life(operations)
        for name in ((*operations, SESSION_END) if row.operation == ANYBODY else (row.operation,))
    }


def doers(operations: Catalogue[Operation], before: State | None, after: State | None) -> tuple[Operation, ...]:
    """The operations that may take a job from one state to the other."""
    return operations.table(_doers).get((before, after), ())


def _doers(operations: Catalogue[Operation]) -> Mapping[tuple[State | None, State | None], tuple[Operation, ...]]:
    found: dict[tuple[State | None, State | None], tuple[Operation, ...]] = {}
    for name, before, after in _lawful(operations):
        if name in operations:
            found[before, after] = (*found.get((before, after), ()), operations[name])
    return found


def _unlawful() -> Iterator[tuple[tuple[State | None, State | None], Meaning]]:
    for before in (ABSENT, *State):
        for after in (ABSENT, *State):
            if before is after:
                yield (before, after), Meaning.REWRITTEN
            elif before is ABSENT:
                yield (before, after), Meaning.CONJURED
            elif before in FINAL:
                yield (before, after), Meaning.REVIVED
            else:
                yield (before, after), Meaning.LOST if after is ABSENT else Meaning.FORCED


UNLAWFUL: dict[tuple[State | None, State | None], Meaning] = dict(_unlawful())
"""(before, after) -> the meaning if no operation may make the change. The same state twice is no violation alone."""
