"""The form of an operation: the role that runs it, the changes that it may make, and the meaning of its answer.

Each operation has a module beside this one. Nothing runs here: strategies begin operations, and promises judge them.
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
    """The kind of client that begins an operation."""

    PRODUCER = "producer"
    WORKER = "worker"
    MAINTENANCE = "maintenance"


class Needs(StrEnum):
    """The job or lock that a client must believe to hold before it begins an operation."""

    NOTHING = "nothing"
    NO_CLAIM = "no claim"
    CLAIM = "claim"
    CLAIM_WITH_ENVIRONMENT = "claim of a job with an environment"
    LOCK = "deploy lock"


class Learned(StrEnum):
    """The change of a worker's belief in its claim after an answer."""

    OVER = "it holds no job any more"
    LOCKED = "it holds the deploy lock"
    UNLOCKED = "it does not hold the deploy lock"


@frozen
class Move:
    """One change of a job that an operation may make, and its meaning in the job's life."""

    before: State | None
    after: State | None
    meaning: Meaning


@frozen
class ServerAnswer:
    """An answer: the last statement's first row, the number of rows that it touched, and all columns by name.

    The last statement is the last one that answers with rows or with a number of rows: a NOTIFY, a SET, a CALL and a
    function that returns void do not. If no statement does, `touched` is below 0. `in_vain`: some statements change
    rows that an earlier one had found, and none of them touched a row. `computed`: a SELECT or a CALL worked the row
    out, such as the result of a function; no change returned it.
    """

    found: tuple[Any, ...] | None
    touched: int
    row: Mapping[str, Any]
    in_vain: bool = False
    computed: bool = False

    @property
    def says_no(self) -> bool:
        """Whether its row is a function's refusal: it begins with false, is all NULL, or counts no rows."""
        found = self.found
        if found is None or not self.computed:
            return False
        return found[0] is False or found == (0,) or all(value is None for value in found)


def names_a_job(answer: ServerAnswer) -> bool:
    """Whether a statement returned a job; if none has such a column, whether the last one touched a row.

    In the second case the changes of the commit show which job it is.
    """
    return answer.row["job"] is not None if "job" in answer.row else touches_a_row(answer)


def takes_a_job(answer: ServerAnswer) -> bool:
    """Whether a job was found and, if a later statement takes or locks it, no other client was faster."""
    itself = answer.found == (answer.row.get("job"),)  # a job may have the number 0
    return names_a_job(answer) and not answer.in_vain and (itself or not answer.says_no)


def whatever_comes(answer: ServerAnswer) -> bool:
    """Always true: the queue accepted the operation, with any number of touched rows."""
    return True


def touches_a_row(answer: ServerAnswer) -> bool:
    """Whether the last statement returned or touched a row; a row of a SELECT may say no."""
    return not answer.says_no and (answer.found is not None or answer.touched != 0)


def says_yes(answer: ServerAnswer) -> bool:
    """Whether the last row begins with a yes; without rows, whether one was touched."""
    if answer.found is None:
        return answer.touched != 0
    return answer.found[0] is not False and answer.found[0] is not None


@frozen(kw_only=True)
class Operation:
    """One operation of a queue.

    `parameters` are those that it gets beside `worker`; a holder's operations also get every column that their claim
    returned. `moves` are the changes that it may make to a job; any other change in its commit is an anomaly.
    `accepts` reads from the answer whether the queue said yes; if not, the call ends with `nothing`. `learns` gives the
    client's belief in its claim after each ending; after an ending that is absent the belief stays, so the worker may
    repeat a call that took effect already. `answers` are its words in a story, if the common ones do not fit.
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
    """Its answer names the job that it added or took."""
    settles: bool = False
    """It ends the claim of its caller."""
    looks_for_jobs: bool = False
    """It chooses jobs by itself, and locks each job that it looks at meanwhile."""
    published: bool = False
    """An accepted call changes a row or has an effect outside, so its commit is in the write-ahead log."""
    removal: State | None = None
    """The final state of a job whose row this operation removed."""

    @property
    def holders(self) -> bool:
        """Whether only the holder of a job runs it, so that it is about this job."""
        return self.needs in {Needs.CLAIM, Needs.CLAIM_WITH_ENVIRONMENT, Needs.LOCK}
