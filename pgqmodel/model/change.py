"""The records that the model keeps: a call in flight, a claim of a job, and one judged-to-be change of one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field

from pgqmodel.history import Job
from pgqmodel.operations import Meaning, Status

__all__ = ["Call", "Change", "Claim"]


@define(kw_only=True, eq=False)
class Call:
    """One operation, from its invocation to its answer, with what must be remembered to judge it."""

    number: int
    client: str
    worker: str
    operation: str
    job: str | None
    claim: int | None
    arguments: Mapping[str, Any]
    session: int
    step: int
    instant: int = 0
    """The instant at which it began."""
    started_at: float | None = None
    """The time at which its first unit began to run: the earliest that its `now()` can say."""
    ran_at: float = 0.0
    """The time at which its last unit had run: the latest that its clock can have said."""
    ran_version: int | None = None
    """The state's version at the snapshot of its first unit."""
    ran: bool = False
    open: bool = False
    blocked: bool = False
    disturbed: bool = False
    """Somebody else may have had rows locked while it ran."""
    waited: bool = False
    """It had to wait for somebody's lock, so what it saw is older than what is known."""
    passed_over: Sequence[Job] | None = None
    """For a claim: what it could have taken at each of its statements, when nobody else had a transaction open."""
    overlapped: bool = False
    """Somebody else was in the middle of a call while it was; known once it is over."""
    order: int = 0
    """How many calls had begun when it had."""
    met_final: bool = False
    """When it first ran, the job it is about was final (or, if it is about none, some job was)."""
    met_running: bool = False
    """When it first ran, somebody held a job."""
    met_key: bool = False
    """When it first ran, a live job had the unique key it brings."""
    met_free: bool = False
    """When it first ran, nobody held the deploy lock it asks for."""
    committed_step: int | None = None
    current_at_commit: bool = False
    """The claim it rests on was current at its last commit."""
    settled_at_commit: bool = False
    """At its last commit the claim it rests on had settled the job, and nobody had claimed it since."""
    could_deploy: bool = False
    """Its client held the deploy lock at its last commit."""
    took: list[str] = field(factory=list)
    added: list[str] = field(factory=list)
    touched: list[str] = field(factory=list)
    """In a recorded history: the jobs that it changed."""
    found: Job | None = None
    """In a recorded history, for a claim: the job that it took, as it was before."""
    lines: list[tuple[int, str]] = field(factory=list)
    """In a recorded history: the log lines that it added, with their sequence."""
    lines_before: int | None = None
    """In a recorded history: the last sequence of its job that was accepted before it began."""
    subjects: Sequence[str] = ()
    """In a recorded history: what it is about, so that it may have it locked."""
    oldest: int = 0
    """In a recorded history, for whoever takes jobs: the instant at which the oldest in flight with it had begun."""
    quiet: bool = False
    """In a recorded history, for a lock: when it began, nobody held it and nobody else was about it."""
    status: Status | None = None
    returned_job: str | None = None
    error: str | None = None


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
    """When its lease began: the claim itself, or its last accepted heartbeat."""
    beat_step: int | None = None
    certain: bool = True
    """False while another claim in flight may be the one that took the job."""
    settled_by: int | None = None
    """The call of its own holder that settled it."""
    ended: str = ""
    """How it ended, as a clause: "M's reclaim took J1 back at step 4"."""


@define(kw_only=True, eq=False)  # one for each change of a row: a frozen one takes three times as long to make
class Change:
    """What the difference of one job in one observation means, and who made it.

    `call` is None if nobody did who could have; `claim` is the job's current claim before the change.
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

    def told(self, step: int) -> str:
        """The change as a clause."""
        if self.call is None:
            return f"{self.job} {_became(self)} at step {step}"
        return f"{self.call.client}'s {self.call.operation} {_VERBS.get(self.meaning, _became)(self)} at step {step}"


def _became(change: Change) -> str:
    before = change.before.state.value if change.before is not None else "absent"
    after = change.after.state.value if change.after is not None else "absent"
    return f"turned from {before} to {after}"


def _made(change: Change) -> str:
    before = change.before.state.value if change.before is not None else "no row"
    after = change.after.state.value if change.after is not None else "no row"
    return f"changed {change.job} from {before} to {after}"


_VERBS = dict.fromkeys(Meaning, _made) | {
    Meaning.CLAIMED: lambda change: f"took {change.job}",
    Meaning.TAKEN: lambda change: f"took {change.job} over",
    Meaning.RECLAIMED: lambda change: f"took {change.job} back",
    Meaning.CANCELLED: lambda change: f"cancelled {change.job}",
}
