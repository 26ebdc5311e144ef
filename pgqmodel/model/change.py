"""The records that the model keeps: a call in flight, a claim of a job, and one change of one job with its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from pgqmodel.history import Invoked, Job, Returned
from pgqmodel.model.facts import Changed, Fact
from pgqmodel.operations import Meaning, Status

__all__ = ["Body", "Call", "Change", "Claim", "CommitSeen"]


@frozen(kw_only=True)
class Body:
    """The body of a job that a program runs, on one of its connections; `step` and `at` are where and when it began.

    `cut`: a connection of its program has ended since, and with it perhaps what kept others from the job.
    """

    client: str
    line: str
    job: str
    step: int
    at: float = 0.0
    cut: bool = False


@frozen
class CommitSeen:
    """The last commit of a call: its step, and whether the claim that the call rests on was current then."""

    step: int
    is_current: bool


@define(kw_only=True, eq=False)
class Call:
    """One operation, from its invocation to its answer, with the facts that are needed to judge it."""

    number: int
    client: str
    operation: str
    job: str | None
    claim: int | None
    step: int
    invoked: Invoked
    session: int
    instant: int = 0
    """The instant at which it began."""
    started_at: float | None = None
    """The time at which its first unit began to run: the earliest value of its `now()`."""
    ran_at: float = 0.0
    """The time at which its last unit had run: the latest value of any clock that it read."""
    ran_version: int | None = None
    """The state's version at the snapshot of its first unit."""
    open: bool = False
    blocked: bool = False
    disturbed: bool = False
    """Another client may have had rows locked while it ran."""
    overlapped: bool = False
    """Another call was in flight during this one; known when this one is over."""
    commit: CommitSeen | None = None
    answer: Returned | None = None
    took: list[str] = field(factory=list)
    facts: dict[str, Any] = field(factory=dict)
    """The facts that promises remember about the call, by the promise's name: see `Memory`."""

    @property
    def worker(self) -> str:
        """The name of its client in the queue."""
        return self.invoked.worker

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The parameters that its client gave."""
        return self.invoked.arguments

    @property
    def ran(self) -> bool:
        """Whether any of its statements has run."""
        return self.ran_version is not None

    @property
    def may_lock(self) -> bool:
        """Whether it may hold locks at present."""
        return self.open or self.blocked

    @property
    def committed_step(self) -> int | None:
        """The step of its last commit."""
        return self.commit.step if self.commit is not None else None

    @property
    def current_at_commit(self) -> bool:
        """Whether the claim that it rests on was current at its last commit."""
        return self.commit is not None and self.commit.is_current

    @property
    def status(self) -> Status | None:
        """How it ended, or None while it is in flight."""
        return self.answer.status if self.answer is not None else None

    @property
    def returned_job(self) -> str | None:
        """The job in its answer, or the first of several."""
        return self.answer.job if self.answer is not None else None

    @property
    def returned_jobs(self) -> tuple[str, ...]:
        """Every job in its answer."""
        return (self.answer.job, *self.answer.also) if self.answer is not None and self.answer.job else ()

    @property
    def jobs(self) -> tuple[str, ...]:
        """The jobs of a holder's call: one, or all of a batch."""
        batch: Any = self.arguments.get("batch")
        if type(batch) in {list, tuple}:
            return tuple(batch)
        return (self.job,) if self.job is not None else ()

    @property
    def error(self) -> str | None:
        """The server's code for the error that it ended with."""
        return self.answer.error if self.answer is not None else None


@define(kw_only=True, eq=False)
class Claim:
    """One successful claim of a job; current until it is settled, reclaimed or released."""

    call: int
    client: str
    session: int
    job: str
    step: int
    instant: int = 0
    """The instant of its commit."""
    beat: float
    """The time at which its lease began: with the claim, or with the last accepted heartbeat."""
    beat_step: int | None = None
    certain: bool = True
    """False while another claim in flight may be the one that took the job."""
    answered: bool = False
    """Its client was told that it has the job."""
    given_back: bool = False
    """Its client has asked for the job to be run again."""
    lapsed: bool = False
    """Time has passed, and the queue shows the job as free again."""
    settled_by: int | None = None
    """The call by which its holder settled it."""
    ended: Fact | None = None
    """How it ended, or None while it is current."""


@define(kw_only=True, eq=False)  # one for each change of a row: a frozen one takes three times as long to make
class Change:
    """The meaning of one job's difference in one observation, and the call that made it.

    `call` is None if no known call could have made the change; `claim` is the claim that was current before it.
    """

    job: str
    before: Job | None
    after: Job | None
    meaning: Meaning
    call: Call | None = None
    claim: Claim | None = None
    certain: bool = True

    @property
    def operation(self) -> str:
        """The operation that made the change, or nothing."""
        return self.call.operation if self.call is not None else ""

    def seen(self, step: int) -> Changed:
        """The change as a fact, made at a step."""
        return Changed(
            job=self.job,
            before=self.before.state if self.before is not None else None,
            after=self.after.state if self.after is not None else None,
            meaning=self.meaning,
            client=self.call.client if self.call is not None else None,
            operation=self.operation,
            step=step,
        )
