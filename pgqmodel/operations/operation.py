"""The form of an operation: who runs it, what it may do to a job, and what its answer means. One module each beside it.

Nothing here runs anything. When an operation is begun is the strategy's business; what breaks a promise, the promise's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from pgqmodel.operations.words import Meaning, State, Status

__all__ = [
    "Learned",
    "Move",
    "Needs",
    "Operation",
    "Role",
    "ServerAnswer",
    "names_a_job",
    "says_yes",
    "takes_a_job",
    "touches_a_row",
    "whatever_comes",
]


class Role(StrEnum):
    """Which kind of client begins an operation."""

    PRODUCER = "producer"
    WORKER = "worker"
    MAINTENANCE = "maintenance"


class Needs(StrEnum):
    """What its client must believe to hold before it begins an operation."""

    NOTHING = "nothing"
    NO_CLAIM = "no claim"
    CLAIM = "claim"
    CLAIM_WITH_ENVIRONMENT = "claim of a job with an environment"
    LOCK = "deploy lock"


class Learned(StrEnum):
    """What an answer makes a worker believe of the claim that it holds."""

    OVER = "it holds no job any more"
    LOCKED = "it holds the deploy lock"
    UNLOCKED = "it does not hold the deploy lock"


@frozen
class Move:
    """One change of a job that an operation may make, and what it means in the job's life."""

    before: State | None
    after: State | None
    meaning: Meaning


@frozen
class ServerAnswer:
    """What came back: the last statement's first row, how many rows it touched, and the columns of all by name.

    The last statement is the last one that answers with rows or a number of rows: a NOTIFY, a SET, a CALL and a
    function that returns void say nothing. Where no statement says anything, `touched` is below 0. `in_vain` says that
    statements which change what an earlier one had found touched no row, not one of them. `computed` says that the row
    was worked out by a SELECT or a CALL, as the result of a function is, and is not one that a change returned.
    """

    found: tuple[Any, ...] | None
    touched: int
    row: Mapping[str, Any]
    in_vain: bool = False
    computed: bool = False

    @property
    def says_no(self) -> bool:
        """Whether its row is how a function says no: it begins with false, is all NULL, or counts no row."""
        found = self.found
        if found is None or not self.computed:
            return False
        return found[0] is False or found == (0,) or all(value is None for value in found)


def names_a_job(answer: ServerAnswer) -> bool:
    """Whether some statement returned a job; where none has such a column, whether the last one touched a row.

    What its commit changed says then which job it is.
    """
    return answer.row["job"] is not None if "job" in answer.row else touches_a_row(answer)


def takes_a_job(answer: ServerAnswer) -> bool:
    """Whether a job was found, and nobody was faster where a later statement took it, or tried to lock it."""
    itself = answer.found == (answer.row.get("job"),)  # a job may have the number 0
    return names_a_job(answer) and not answer.in_vain and (itself or not answer.says_no)


def whatever_comes(answer: ServerAnswer) -> bool:
    """Whether the queue took the operation as done, however many rows that touched."""
    return True


def touches_a_row(answer: ServerAnswer) -> bool:
    """Whether the last statement returned or touched a row; a row of a SELECT may say no."""
    return not answer.says_no and (answer.found is not None or answer.touched != 0)


def says_yes(answer: ServerAnswer) -> bool:
    """Whether the last row begins with a yes; where there is no row, whether one was touched."""
    if answer.found is None:
        return answer.touched != 0
    return answer.found[0] is not False and answer.found[0] is not None


@frozen(kw_only=True)
class Operation:
    """One operation of a queue.

    `parameters` are those that it gets beside `worker`; a holder's operations get every column that their claim
    returned as well. `moves` are what it may do to a job; anything else that changes while it commits is an anomaly.
    `accepts` reads from its answer whether the queue said yes, `nothing` is how it ends if not. `learns` says what its
    client believes of its claim afterwards; an ending that is absent changes nothing, so that a worker tries again what
    may have happened already. `answers` are its words in a story, where the common ones do not fit.
    """

    name: str
    role: Role
    needs: Needs = Needs.NOTHING
    parameters: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()
    accepts: Callable[[ServerAnswer], bool] = touches_a_row
    nothing: Status = Status.REFUSED
    learns: Mapping[Status, Learned] = field(factory=dict)
    answers: Mapping[Status, str] = field(factory=dict)
    names_job: bool = False
    """Its answer says which job it is about: one that it added or took."""
    settles: bool = False
    """It ends the claim of its caller."""
    looks_for_jobs: bool = False
    """It chooses jobs by itself, and locks each that it looks at while it does."""
    published: bool = False
    """An accepted call of it changes a row or takes effect outside, so the write-ahead log has its commit."""
    removal: State | None = None
    """The state that a job was in last if this operation removed its row."""

    @property
    def holders(self) -> bool:
        """Whether only the holder of a job runs it, so that it is about that one job."""
        return self.needs in {Needs.CLAIM, Needs.CLAIM_WITH_ENVIRONMENT, Needs.LOCK}
