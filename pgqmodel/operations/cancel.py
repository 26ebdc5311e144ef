"""`cancel`: a producer cancels a job that waits or runs."""

from __future__ import annotations

from pgqmodel.operations.operation import Move, Operation, Role
from pgqmodel.operations.words import ABSENT, Meaning, State

__all__ = ["CANCEL"]

CANCEL = Operation(
    name="cancel",
    role=Role.PRODUCER,
    parameters=("job",),
    moves=tuple(
        Move(before, after, Meaning.CANCELLED)
        for before in (State.PENDING, State.RUNNING, State.WAITING)
        for after in (State.CANCELLED, ABSENT)
    ),
    looks_for_jobs=True,
    published=True,
    removal=State.CANCELLED,
)
