"""`unlock`: the holder of a deploy lock gives it back."""

from __future__ import annotations

from pgqmodel.operations.operation import Learned, Needs, Operation, Role, says_yes
from pgqmodel.operations.words import Status

__all__ = ["UNLOCK"]

UNLOCK = Operation(
    name="unlock",
    role=Role.WORKER,
    needs=Needs.LOCK,
    parameters=("job", "environment"),
    accepts=says_yes,
    learns=dict.fromkeys((Status.OK, Status.REFUSED), Learned.UNLOCKED),
    answers={Status.OK: "lock released"},
)
