"""What the clients of a queue can do, and how an attempt can end: the words of the target file, as one table.

Nothing here runs anything. Who may begin an operation when is the machine's business; what it may change, the model's.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

__all__ = [
    "ANSWERED",
    "FINAL",
    "LIVE",
    "OPERATIONS",
    "REQUIRED",
    "SETTLEMENTS",
    "Needs",
    "Operation",
    "Role",
    "State",
    "Status",
]


class State(StrEnum):
    """The five states of a job, whatever words the queue has for them."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
LIVE = frozenset({State.PENDING, State.RUNNING})


class Status(StrEnum):
    """How a call ended, as its client saw it.

    `EMPTY` is a claim that found nothing; `REFUSED` an operation that touched nothing; `ERROR` one that the database
    rolled back with an error; `UNKNOWN` one whose answer was lost: its effect may be there or not.
    """

    OK = "ok"
    EMPTY = "empty"
    REFUSED = "refused"
    ERROR = "error"
    UNKNOWN = "unknown"


ANSWERED = frozenset({Status.OK, Status.REFUSED, Status.EMPTY})
"""How a call ends that the queue itself has answered."""


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


@frozen(kw_only=True)
class Operation:
    """One row of the table: the parameters are those that the operation gets beside `worker`.

    A holder's operations get every column that their claim returned as well.
    """

    name: str
    role: Role
    needs: Needs
    parameters: tuple[str, ...]


OPERATIONS: dict[str, Operation] = {
    name: Operation(name=name, role=role, needs=needs, parameters=parameters)
    for name, role, needs, parameters in (
        ("enqueue", Role.PRODUCER, Needs.NOTHING, ("payload", "priority", "unique_key", "run", "stage", "environment")),
        ("claim", Role.WORKER, Needs.NO_CLAIM, ()),
        ("heartbeat", Role.WORKER, Needs.CLAIM, ("job",)),
        ("complete", Role.WORKER, Needs.CLAIM, ("job",)),
        ("fail", Role.WORKER, Needs.CLAIM, ("job", "error")),
        ("retry", Role.WORKER, Needs.CLAIM, ("job", "error")),
        ("cancel", Role.PRODUCER, Needs.NOTHING, ("job",)),
        ("reclaim", Role.MAINTENANCE, Needs.NOTHING, ("heartbeat_timeout_seconds", "max_attempts")),
        ("lock", Role.WORKER, Needs.CLAIM_WITH_ENVIRONMENT, ("job", "environment")),
        ("unlock", Role.WORKER, Needs.LOCK, ("job", "environment")),
        ("deploy", Role.WORKER, Needs.LOCK, ("job", "environment")),
        ("log", Role.WORKER, Needs.CLAIM, ("job", "line")),
    )
}

SETTLEMENTS = frozenset({"complete", "fail", "retry"})
REQUIRED: tuple[frozenset[str], ...] = (frozenset({"enqueue"}), frozenset({"claim"}), frozenset({"complete", "fail"}))
"""A queue needs one operation of each of these sets."""
