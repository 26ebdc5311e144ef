"""A job's life as one table: which operation may take it from which state to which, and what that means.

This file is the only place that knows it; the model looks it up, and the diagram in the documentation is drawn from it.
Who the caller is, whose claim is current and whose lease has lapsed is not said here: see `step`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from attrs import frozen

from pgqmodel.operations import FINAL, LIVE, OPERATIONS, State

__all__ = ["ABSENT", "ANYBODY", "CLAIMS", "LAWFUL", "LIFE", "SESSION_END", "UNLAWFUL", "Meaning", "Transition"]

ABSENT = None
"""The state of a job that has no row."""
ANYBODY = "anybody"
SESSION_END = "session end"
"""Not an operation: what happens by itself when a session ends, where a lock is the lease."""


class Meaning(StrEnum):
    """What a change of one job is, in the life of that job. The last four no operation may do."""

    ADDED = "added"
    CLAIMED = "claimed"
    TAKEN = "taken"
    """Claimed while it was running: legal if the former claim's lease has lapsed."""
    UNDONE = "undone"
    """A claim gives back what it took before it is over, as one does that tries a lock and then looks again."""
    SETTLED = "settled"
    CANCELLED = "cancelled"
    CASCADED = "cascaded"
    """Cancelled because a job of an earlier stage of its run failed or was cancelled."""
    RECLAIMED = "reclaimed"
    RELEASED = "released"
    REMOVED = "removed"
    REWRITTEN = "rewritten"
    """The state is what it was; another column is not."""
    LOST = "lost"
    REVIVED = "revived"
    CONJURED = "conjured"
    FORCED = "forced"


CLAIMS = frozenset({Meaning.CLAIMED, Meaning.TAKEN})
"""The changes by which a call gets a job."""


@frozen
class Transition:
    """One row of the table."""

    operation: str
    before: State | None
    after: State | None
    meaning: Meaning


_PENDING, _RUNNING = State.PENDING, State.RUNNING
_COMPLETED, _FAILED, _CANCELLED = State.COMPLETED, State.FAILED, State.CANCELLED

LIFE: tuple[Transition, ...] = (
    Transition("enqueue", ABSENT, _PENDING, Meaning.ADDED),
    Transition("claim", _PENDING, _RUNNING, Meaning.CLAIMED),
    Transition("claim", _RUNNING, _RUNNING, Meaning.TAKEN),
    Transition("claim", _RUNNING, _PENDING, Meaning.UNDONE),
    Transition("complete", _RUNNING, _COMPLETED, Meaning.SETTLED),
    Transition("complete", _RUNNING, ABSENT, Meaning.SETTLED),
    Transition("fail", _RUNNING, _PENDING, Meaning.SETTLED),
    Transition("fail", _RUNNING, _FAILED, Meaning.SETTLED),
    Transition("retry", _RUNNING, _PENDING, Meaning.SETTLED),
    Transition("retry", _RUNNING, _FAILED, Meaning.SETTLED),
    Transition("cancel", _PENDING, _CANCELLED, Meaning.CANCELLED),
    Transition("cancel", _PENDING, ABSENT, Meaning.CANCELLED),
    Transition("cancel", _RUNNING, _CANCELLED, Meaning.CANCELLED),
    Transition("cancel", _RUNNING, ABSENT, Meaning.CANCELLED),
    Transition("reclaim", _RUNNING, _PENDING, Meaning.RECLAIMED),
    Transition("reclaim", _RUNNING, _FAILED, Meaning.RECLAIMED),
    Transition(SESSION_END, _RUNNING, _PENDING, Meaning.RELEASED),
    Transition("complete", _PENDING, _CANCELLED, Meaning.CASCADED),
    Transition("fail", _PENDING, _CANCELLED, Meaning.CASCADED),
    Transition("retry", _PENDING, _CANCELLED, Meaning.CASCADED),
    Transition("reclaim", _PENDING, _CANCELLED, Meaning.CASCADED),
    Transition(ANYBODY, _COMPLETED, ABSENT, Meaning.REMOVED),
    Transition(ANYBODY, _FAILED, ABSENT, Meaning.REMOVED),
    Transition(ANYBODY, _CANCELLED, ABSENT, Meaning.REMOVED),
)


def _lawful() -> Iterator[tuple[tuple[str, State | None, State | None], Meaning]]:
    for row in LIFE:
        for operation in (*OPERATIONS, SESSION_END) if row.operation == ANYBODY else (row.operation,):
            yield (operation, row.before, row.after), row.meaning


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


LAWFUL: dict[tuple[str, State | None, State | None], Meaning] = dict(_lawful())
"""(operation, before, after) -> what it means; absent: that operation may not do it."""
UNLAWFUL: dict[tuple[State | None, State | None], Meaning] = dict(_unlawful())
"""(before, after) -> what it is when no operation at hand may do it. The same state twice breaks nothing by itself."""

assert set(State) == LIVE | FINAL, "every state is live or final"
