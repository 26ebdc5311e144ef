"""What each operation may do to a job: one table. Code looks up; the diagram in the documentation is drawn from it.

`ABSENT` stands for a job without a row: not yet enqueued, or finished and removed.
"""

from __future__ import annotations

from enum import StrEnum

from pgqmodel.operations import FINAL, LIVE, SETTLEMENTS, State

__all__ = ["ABSENT", "CASCADING", "TRANSITIONS", "Wrong", "allowed", "wrong"]

ABSENT = None
Seen = State | None
_P, _R, _C, _F, _X = State.PENDING, State.RUNNING, State.COMPLETED, State.FAILED, State.CANCELLED

TRANSITIONS: dict[str, frozenset[tuple[Seen, Seen]]] = {
    "enqueue": frozenset({(ABSENT, _P)}),
    "claim": frozenset({(_P, _R), (_R, _R)}),
    "complete": frozenset({(_R, _C), (_R, ABSENT)}),
    "fail": frozenset({(_R, _P), (_R, _F)}),
    "retry": frozenset({(_R, _P), (_R, _F)}),
    "cancel": frozenset({(_P, _X), (_R, _X), (_P, ABSENT), (_R, ABSENT)}),
    "reclaim": frozenset({(_R, _P), (_R, _F)}),
    "session end": frozenset({(_R, _P)}),
}
"""Per operation, the changes it may make to a job. A claim of a running job is legal once its lease has lapsed; the end of
a session gives back what it held, where the lock is the lease."""

CASCADING = SETTLEMENTS | {"cancel", "reclaim"}
"""Operations that may cancel, in the same transaction, the pending jobs of later stages of the same run."""


class Wrong(StrEnum):
    """What a change that no operation may make is called, by where it leads from and to."""

    RESURRECTION = "resurrection"
    LOST = "lost-job"
    PHANTOM = "phantom-job"


def allowed(operation: str, before: Seen, after: Seen) -> bool:
    """Whether an operation may change a job so. Removing a finished job is everybody's right."""
    return (before, after) in TRANSITIONS.get(operation, ()) or (before in FINAL and after is ABSENT)


def wrong(before: Seen, after: Seen) -> Wrong | None:
    """The name of a change that nobody may make, or None if it has none of its own."""
    if before in FINAL and after is not ABSENT and after is not before:
        return Wrong.RESURRECTION
    if before in LIVE and after is ABSENT:
        return Wrong.LOST
    if before is ABSENT and after is not ABSENT:
        return Wrong.PHANTOM
    return None
