"""`lock`: the holder of a job takes the deploy lock of the job's environment, if no other client has it."""

from __future__ import annotations

from pgqmodel.operations.operation import Learned, Needs, Operation, Role, says_yes
from pgqmodel.operations.words import Status

__all__ = ["LOCK"]

LOCK = Operation(
    name="lock",
    role=Role.WORKER,
    needs=Needs.CLAIM_WITH_ENVIRONMENT,
    parameters=("job", "environment"),
    accepts=says_yes,
    learns={Status.OK: Learned.LOCKED},
    answers={Status.OK: "has the lock", Status.REFUSED: "the lock is taken"},
)
