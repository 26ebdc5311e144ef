"""The events of a history, as values. Their text form is in `history`, from where everybody takes them.

In an explored history jobs bear the names `J1`, `J2`, ... in order of appearance, in a recorded one the queue's own;
`call` numbers operations in order of invocation.

They have no slots: a frozen value with slots is guarded field by field while it is made, which takes twice as long, and
a history makes millions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import asdict, field, frozen, has

from pgqmodel.operations import Lease, State, Status

__all__ = [
    "EVENTS",
    "Advanced",
    "Blocked",
    "Committed",
    "Connected",
    "Deadlocked",
    "Draining",
    "Ended",
    "Event",
    "Invoked",
    "Job",
    "Judged",
    "Observed",
    "Ran",
    "Restarted",
    "Returned",
]

Row = Mapping[str, Any]


@frozen(kw_only=True, slots=False)
class Job:
    """One row of `observe.jobs`, with the queue's word for the state turned into ours.

    `order` holds the columns that promises name, such as those of the order of claims; `eligible_at` is in seconds
    since the epoch, None for at once; `lease_until` is the moment until which its holder has
    it, where the row shows one; `needs` names jobs that must complete first, whatever their stage.
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
    """What every event has: the number of the step it happened in, counted from 1.

    `at` is when it happened, in seconds since the epoch; only recorded histories have it, and their step is the
    place in the record. In an explored one time is an event of its own, `Advanced`.
    """

    kind: ClassVar[str] = ""
    step: int
    at: float | None = None


@frozen(kw_only=True, slots=False)
class Invoked(Event):
    """A client begins an operation. `claim` is the call that claimed the job it is about, for a holder's operations.

    `worker` is the name the client bears towards the queue: two clients may share one.
    """

    kind: ClassVar[str] = "invoked"
    client: str
    worker: str
    call: int
    operation: str
    job: str | None = None
    claim: int | None = None
    arguments: Row = field(factory=dict)


@frozen(kw_only=True, slots=False)
class Ran(Event):
    """The server has run one unit of a call and taken its snapshot; whether it is committed, another event says.

    `open` is true while its transaction stays open. `error` is the SQLSTATE it failed with.
    """

    kind: ClassVar[str] = "ran"
    client: str
    call: int
    sql: str
    parameters: tuple[Any, ...] = ()
    tag: str = ""
    error: str | None = None
    open: bool = False


@frozen(kw_only=True, slots=False)
class Blocked(Event):
    """The server confirmed that a client's unit waits for locks of others (clients' names; the rest is not ours)."""

    kind: ClassVar[str] = "blocked"
    client: str
    call: int
    by: tuple[str, ...]


@frozen(kw_only=True, slots=False)
class Committed(Event):
    """A transaction of this call committed. Read-only ones count: they have nothing to publish and no gate."""

    kind: ClassVar[str] = "committed"
    client: str
    call: int


@frozen(kw_only=True, slots=False)
class Observed(Event):
    """What the database shows after a commit, where it differs from before: a None is a row that is gone.

    `by` names the calls that committed since the last observation, oldest first, and where the queue shows what is
    locked also those that ran a statement; empty after a session's end, a restart, a move of the clock or at the start.
    """

    kind: ClassVar[str] = "observed"
    by: tuple[int, ...] = ()
    jobs: Mapping[str, Job | None] = field(factory=dict)
    runs: Mapping[str, State | None] = field(factory=dict)
    environments: Mapping[str, Any] = field(factory=dict)
    logs: Mapping[str, tuple[tuple[int, str], ...]] = field(factory=dict)


@frozen(kw_only=True, slots=False)
class Returned(Event):
    """A call is over, as its client saw it. `job` is the job it returned, if it returned one; `also` are further ones.

    `transaction` is the one that the server gave its work, where the client asked: it says which commit was its own.
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
    """A client's session has ended on the server: open transactions rolled back, session locks free.

    `crashed` if the client died with it; otherwise it lives on and believes what it believed.
    """

    kind: ClassVar[str] = "ended"
    client: str
    crashed: bool = False


@frozen(kw_only=True, slots=False)
class Connected(Event):
    """A client has a new session. `worker` is its name towards the queue.

    `ahead` says by how many seconds its clock is ahead of the server's, where the queue asks for it; less than 0 is
    behind.
    """

    kind: ClassVar[str] = "connected"
    client: str
    worker: str
    ahead: float = 0.0


@frozen(kw_only=True, slots=False)
class Advanced(Event):
    """The clock moved by `seconds`; `now` is the server's time since the epoch afterwards."""

    kind: ClassVar[str] = "advanced"
    seconds: float
    now: float


@frozen(kw_only=True, slots=False)
class Deadlocked(Event):
    """A cycle of waits was there; the victim's transaction was rolled back with 40P01."""

    kind: ClassVar[str] = "deadlocked"
    victim: str
    cycle: tuple[str, ...]


@frozen(kw_only=True, slots=False)
class Restarted(Event):
    """The server was killed and has recovered: every session ended."""

    kind: ClassVar[str] = "restarted"


@frozen(kw_only=True, slots=False)
class Draining(Event):
    """The drain: faults have stopped. `over` is true once every round that its bound allows has been given."""

    kind: ClassVar[str] = "draining"
    over: bool = False
    poison: str | None = None


def _plain(value: Any) -> Any:
    """A value as it is after JSON: sequences are tuples, values with fields are mappings."""
    if has(type(value)):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return tuple(_plain(part) for part in value) if isinstance(value, list | tuple) else value


@frozen(kw_only=True, slots=False)
class Judged(Event):
    """What a recorded history is to be judged by, its first event: the target's name, promises and settings.

    `moments` are the columns in `order` that hold points in time, so that sentences tell them as such. `leases` are the
    ways in which a silent holder may lose its job.
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
