"""`enqueue`: a producer adds a job, which then waits for a claim, or first for a promotion."""

from __future__ import annotations

from pgqmodel.operations.operation import Move, Operation, Role, names_a_job
from pgqmodel.operations.words import ABSENT, Meaning, State, Status

__all__ = ["ENQUEUE"]

ENQUEUE = Operation(
    name="enqueue",
    role=Role.PRODUCER,
    parameters=("payload", "priority", "unique_key", "run", "stage", "environment"),
    moves=tuple(Move(ABSENT, state, Meaning.ADDED) for state in (State.PENDING, State.WAITING)),
    accepts=names_a_job,
    answers={Status.OK: "added {job}"},
    names_job=True,
    published=True,
)
