"""`complete`: the holder of a job says that it is done."""

from __future__ import annotations

from pgqmodel.operations.operation import Learned, Move, Needs, Operation, Role
from pgqmodel.operations.words import ABSENT, Meaning, State, Status

__all__ = ["COMPLETE"]

COMPLETE = Operation(
    name="complete",
    role=Role.WORKER,
    needs=Needs.CLAIM,
    parameters=("job",),
    moves=(
        Move(State.RUNNING, State.COMPLETED, Meaning.SETTLED),
        Move(State.RUNNING, ABSENT, Meaning.SETTLED),
        Move(State.PENDING, State.CANCELLED, Meaning.CASCADED),
    ),
    learns=dict.fromkeys((Status.OK, Status.REFUSED), Learned.OVER),
    settles=True,
    published=True,
    removal=State.COMPLETED,
)
