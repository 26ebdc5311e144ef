"""`claim`: a worker takes the next job and becomes its holder."""

from __future__ import annotations

from pgqmodel.operations.operation import Move, Needs, Operation, Role, takes_a_job
from pgqmodel.operations.words import Meaning, State, Status

__all__ = ["CLAIM"]

CLAIM = Operation(
    name="claim",
    role=Role.WORKER,
    needs=Needs.NO_CLAIM,
    moves=(
        Move(State.PENDING, State.RUNNING, Meaning.CLAIMED),
        Move(State.RUNNING, State.RUNNING, Meaning.TAKEN),
        Move(State.RUNNING, State.PENDING, Meaning.UNDONE),
        Move(State.WAITING, State.RUNNING, Meaning.CLAIMED),
        Move(State.RUNNING, State.WAITING, Meaning.UNDONE),
    ),
    accepts=takes_a_job,
    nothing=Status.EMPTY,
    answers={Status.OK: "took {job}", Status.EMPTY: "nothing to claim"},
    names_job=True,
    looks_for_jobs=True,
    published=True,
)
