"""`reclaim`: a maintenance client takes back the jobs of holders that have been silent for too long."""

from __future__ import annotations

from pgqmodel.operations.operation import Move, Operation, Role, whatever_comes
from pgqmodel.operations.words import Meaning, State, Status

__all__ = ["RECLAIM"]

RECLAIM = Operation(
    name="reclaim",
    role=Role.MAINTENANCE,
    parameters=("heartbeat_timeout_seconds", "max_attempts"),
    moves=(
        *(
            Move(State.RUNNING, after, Meaning.RECLAIMED)
            for after in (State.PENDING, State.FAILED, State.CANCELLED, State.WAITING)
        ),
        *(Move(before, State.CANCELLED, Meaning.CASCADED) for before in (State.PENDING, State.WAITING)),
    ),
    accepts=whatever_comes,
    answers={Status.OK: "done"},
    looks_for_jobs=True,
)
