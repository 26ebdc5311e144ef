"""`fail`: the holder of a job says that it failed: it waits for another attempt, or has failed for good."""

from __future__ import annotations

from pgqmodel.operations.operation import Learned, Move, Needs, Operation, Role
from pgqmodel.operations.words import Meaning, State, Status

__all__ = ["FAIL"]

FAIL = Operation(
    name="fail",
    role=Role.WORKER,
    needs=Needs.CLAIM,
    parameters=("job", "error"),
    moves=(
        Move(State.RUNNING, State.PENDING, Meaning.SETTLED),
        Move(State.RUNNING, State.FAILED, Meaning.SETTLED),
        Move(State.PENDING, State.CANCELLED, Meaning.CASCADED),
    ),
    learns=dict.fromkeys((Status.OK, Status.REFUSED), Learned.OVER),
    settles=True,
    published=True,
)
