"""The events of a history, as values. Their text form is in `history`, from where other modules import them.

In an explored history jobs have the names `J1`, `J2`, ... in order of appearance, in a recorded one the queue's own
names; `call` numbers calls in order of invocation.

The classes have no slots: a frozen value with slots takes twice as long to make, and a history has millions of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import asdict, field, frozen, has

from pgqmodel.operations import Lease, State, Status

__all__ = [
    "COMMIT",
    "EVENTS",
    "Advanced",
    "Blocked",
    "Committed",
    "Connected",
    "Deadlocked",
    "Draining",
    "Ended",
    "Event",
    "Executed",
    "Invoked",
    "Job",
    "Judged",
    "Observed",
    "Ran",
    "Restarted",
    "Returned",
    "Working",
]

Row = Mapping[str, Any]
COMMIT = "COMMIT"
"""The text of a held COMMIT that ran as a unit of its own."""


@frozen(kw_only=True, slots=False)
class Job:
    """One row of `observe.jobs`, with our word for the state.

    `order` holds the columns that promises name, such as those of the order of claims. `eligible_at` is in seconds
    since the epoch, None for at once. `lease_until` is the end of the lease, if the row shows it. `needs` names jobs
    of any stage that must complete first.
    """

    job: str
    state: State
    holder: str | None = None
    attempt: int | None = None
    priority: int | None = None
    unique_key: str | None = None
    run: str | None = None
    stage: int | None = None
    environment: str | None = None
    eligible_at: float | None = None
    lease_until: float | None = None
    needs: tuple[str, ...] = ()
    order: Row = field(factory=dict)


@frozen(kw_only=True, slots=False)
class Event:
    """The base of every event: it has the number of its step, counted from 1.

    `at` is its time in seconds since the epoch. Only recorded histories have it, and their step is the place in the
    record. In an explored history a change of time is an event of its own, `Advanced`.
    """

    kind: ClassVar[str] = ""
    step: int
    at: float | None = None


@frozen(kw_only=True, slots=False)
class Invoked(Event):
    """A client begins an operation. `claim` is, for a holder's operations, the call that claimed the job.

    `worker` is the client's name in the queue; two clients may have the same one. `line` is the connection of a program
    whose commit showed the call: what a program meant is inferred from what it changed.
    """

    kind: ClassVar[str] = "invoked"
    client: str
    worker: str
    call: int
    operation: str
    job: str | None = None
    claim: int | None = None
    arguments: Row = field(factory=dict)
    line: str = ""


@frozen(kw_only=True, slots=False)
class Ran(Event):
    """The server has run one unit of a call and taken its snapshot; its commit is another event.

    `open` is True while its transaction stays open. `error` is the SQLSTATE of its failure. With `snapshot` it has only
    taken its snapshot, and runs later.
    """

    kind: ClassVar[str] = "ran"
    client: str
    call: int
    sql: str
    parameters: tuple[Any, ...] = ()
    tag: str = ""
    error: str | None = None
    open: bool = False
    snapshot: bool = False


@frozen(kw_only=True, slots=False)
class Executed(Event):
    """The server has run one unit of a program, on one of its connections; what it was for is not known yet.

    `open` is True while its transaction stays open. A COMMIT that was held by itself is a unit, too.
    """

    kind: ClassVar[str] = "executed"
    client: str
    line: str
    sql: str
    parameters: tuple[Any, ...] = ()
    tag: str = ""
    error: str | None = None
    open: bool = False


@frozen(kw_only=True, slots=False)
class Working(Event):
    """A program has begun the body of a job, on one of its connections; with `over` the body has ended.

    `answer` is what the body was told at its end: done or fail.
    """

    kind: ClassVar[str] = "working"
    client: str
    line: str
    job: str
    over: bool = False
    answer: str = ""


@frozen(kw_only=True, slots=False)
class Blocked(Event):
    """The server confirmed that a client's unit waits for locks of the clients `by`.

    A program's unit belongs to no known call yet: `call` is 0.
    """

    kind: ClassVar[str] = "blocked"
    client: str
    call: int
    by: tuple[str, ...]


@frozen(kw_only=True, slots=False)
class Committed(Event):
    """A transaction of this call committed. Read-only transactions count, too; they have no gate of their own."""

    kind: ClassVar[str] = "committed"
    client: str
    call: int


@frozen(kw_only=True, slots=False)
class Observed(Event):
    """The differences that the database shows after a commit; None stands for a removed row.

    `by` has the calls that committed since the last observation, oldest first; if the queue shows locks, also the calls
    that ran a statement. It is empty at the start, and after the end of a session, a restart or a move of the clock.
    """

    kind: ClassVar[str] = "observed"
    by: tuple[int, ...] = ()
    jobs: Mapping[str, Job | None] = field(factory=dict)
    runs: Mapping[str, State | None] = field(factory=dict)
    environments: Mapping[str, Any] = field(factory=dict)
    logs: Mapping[str, tuple[tuple[int, str], ...]] = field(factory=dict)


@frozen(kw_only=True, slots=False)
class Returned(Event):
    """A call is over, as its client saw it. `job` is the job in its answer, if there is one; `also` are further jobs.

    `transaction` is the identifier of its transaction, if the client asked for it: it tells which commit is the call's.
    """

    kind: ClassVar[str] = "returned"
    client: str
    call: int
    status: Status
    job: str | None = None
    also: tuple[str, ...] = ()
    row: Row = field(factory=dict)
    error: str | None = None
    transaction: int | None = None


@frozen(kw_only=True, slots=False)
class Ended(Event):
    """A client's session has ended on the server: open transactions are rolled back, and session locks are free.

    With `crashed` the client died, too; otherwise it lives on with its beliefs. `line` is the one connection of a
    program that ended.
    """

    kind: ClassVar[str] = "ended"
    client: str
    crashed: bool = False
    line: str = ""


@frozen(kw_only=True, slots=False)
class Connected(Event):
    """A client has a new session. `worker` is its name in the queue.

    `ahead`: the seconds by which its clock is ahead of the server's, if the queue uses it; below 0 it is behind.
    """

    kind: ClassVar[str] = "connected"
    client: str
    worker: str
    ahead: float = 0.0


@frozen(kw_only=True, slots=False)
class Advanced(Event):
    """The clock moved by `seconds`; `now` is the server's time after that, in seconds since the epoch."""

    kind: ClassVar[str] = "advanced"
    seconds: float
    now: float


@frozen(kw_only=True, slots=False)
class Deadlocked(Event):
    """There was a cycle of waits; the victim's transaction was rolled back with 40P01."""

    kind: ClassVar[str] = "deadlocked"
    victim: str
    cycle: tuple[str, ...]


@frozen(kw_only=True, slots=False)
class Restarted(Event):
    """The server was killed and has recovered: every session ended."""

    kind: ClassVar[str] = "restarted"


@frozen(kw_only=True, slots=False)
class Draining(Event):
    """A mark of the drain: faults have stopped. `over` is True at the end of the drain."""

    kind: ClassVar[str] = "draining"
    over: bool = False
    poison: str | None = None


def _plain(value: Any) -> Any:
    """A value in the form that it has after JSON: sequences are tuples, values with fields are mappings."""
    if has(type(value)):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return tuple(_plain(part) for part in value) if isinstance(value, list | tuple) else value


@frozen(kw_only=True, slots=False)
class Judged(Event):
    """The header of a recorded history, its first event: the target's name, and the promises and settings to judge by.

    `moments` are the columns in `order` that hold points in time, so that sentences tell them as such. `leases` are the
    kinds of lease: the end of any of them ends the right of a silent holder.
    """

    kind: ClassVar[str] = "judged"
    target: str
    promises: Mapping[str, Any] = field(converter=_plain)
    settings: Mapping[str, Any] = field(factory=dict, converter=_plain)
    moments: tuple[str, ...] = ()
    leases: tuple[Lease, ...] = (Lease.HEARTBEAT,)


EVENTS: dict[str, type[Event]] = {
    kind.kind: kind
    for kind in (
        Invoked,
        Ran,
        Executed,
        Working,
        Blocked,
        Committed,
        Observed,
        Returned,
        Ended,
        Connected,
        Advanced,
        Deadlocked,
        Restarted,
        Draining,
        Judged,
    )
}
