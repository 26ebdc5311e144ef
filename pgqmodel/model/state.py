"""The model's state: jobs as last observed, claims and who holds them, calls in flight, locks, time. Values and lookups only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from pgqmodel.history import Job
from pgqmodel.operations import State

__all__ = ["Call", "Claim", "ModelState", "Snapshot"]

Jobs = Mapping[str, Job]


@define(kw_only=True)
class Claim:
    """One successful claim. `beat` is when its lease began to run last; `ended` names the call that ended it."""

    call: int
    client: str
    job: str
    step: int
    beat: float
    current: bool = True
    settled_by: str | None = None
    """The operation by which this claim itself settled the job."""
    end_step: int = 0
    end_reason: str = ""


@define(kw_only=True, frozen=True)
class Snapshot:
    """What a statement could see when it ran: the committed jobs, and the time."""

    jobs: Jobs
    now: float


@define(kw_only=True)
class Call:
    """An operation in flight, and what the judge must remember of its course."""

    number: int
    client: str
    operation: str
    step: int
    job: str | None
    claim: int | None
    environment: str | None
    line: str | None
    key: str | None
    snapshots: list[Snapshot] = field(factory=list)
    open: bool = False
    contended: bool = False
    """Another transaction that could have held locks was open while this call ran."""
    overlapped: bool = False
    """Another call was in flight at the same time."""
    held: bool = False
    """Its claim was current when it ran or committed."""
    had_lock: bool = False
    """Its client held the environment's lock when it ran or committed."""
    late: bool = False
    """Its claim was not current when it was begun."""


@define(kw_only=True)
class Lock:
    """A deploy lock that was granted: to which client, for which claim."""

    client: str
    claim: int | None
    step: int


@define(kw_only=True)
class ModelState:
    """Everything that has been seen so far, as far as the promises need it."""

    now: float = 0.0
    step: int = 0
    jobs: dict[str, Job] = field(factory=dict)
    seen: dict[str, Job] = field(factory=dict)
    """The last row of every job that there ever was."""
    claims: dict[int, Claim] = field(factory=dict)
    current: dict[str, Claim] = field(factory=dict)
    attempts: Counter[str] = field(factory=Counter)
    """How often each job was claimed."""
    first_attempt: dict[str, int] = field(factory=dict)
    calls: dict[int, Call] = field(factory=dict)
    locks: dict[str, Lock] = field(factory=dict)
    released: set[str] = field(factory=set)
    """Environments whose lock was held once and is free again."""
    ended: set[str] = field(factory=set)
    """Clients whose session has ended since the last observation."""
    runs: dict[str, State] = field(factory=dict)
    logs: dict[str, tuple[tuple[int, str], ...]] = field(factory=dict)
    written: dict[str, list[str]] = field(factory=dict)
    """The log lines that were accepted, by job, in the order of their commits."""
    disturbed: bool = False
    """Something went wrong in this story: a cut, a crash, a restart, a lapsed lease."""

    def state_of(self, job: str) -> State | None:
        """The state of a job as last observed; None if it has no row."""
        row = self.jobs.get(job)
        return row.state if row is not None else None

    def is_current(self, call: Call) -> bool:
        """Whether the claim that a holder's call relies on is the job's current one."""
        claim = self.claims.get(call.claim) if call.claim is not None else None
        return claim is not None and claim.current

    def has_lock(self, call: Call) -> bool:
        """Whether the call's client holds the lock of the call's environment."""
        lock = self.locks.get(call.environment) if call.environment is not None else None
        return lock is not None and lock.client == call.client

    def environment_of(self, job: str | None) -> str | None:
        """The environment of a job, if it is known."""
        row = self.seen.get(job) if job is not None else None
        return row.environment if row is not None else None


def describe(row: Job | None) -> str:
    """A job's row in a few words."""
    if row is None:
        return "no row"
    details: dict[str, Any] = {"holder": row.holder, "attempt": row.attempt}
    shown = ", ".join(f"{name} {value}" for name, value in details.items() if value is not None)
    return f"{row.state}" + (f" ({shown})" if shown else "")
