"""`reclaim`: a maintenance client takes back the jobs of holders that are silent for too long."""

from __future__ import annotations

from pgqmodel.operations.operation import Move, Operation, Role
from pgqmodel.operations.words import Meaning, State, Status

__all__ = ["RECLAIM"]

RECLAIM = Operation(
    name="reclaim",
    role=Role.MAINTENANCE,
    parameters=("heartbeat_timeout_seconds", "max_attempts"),
    moves=(
        Move(State.RUNNING, State.PENDING, Meaning.RECLAIMED),
        Move(State.RUNNING, State.FAILED, Meaning.RECLAIMED),
        Move(State.PENDING, State.CANCELLED, Meaning.CASCADED),
    ),
    accepts=lambda answer: True,
    answers={Status.OK: "done"},
    looks_for_jobs=True,
)
