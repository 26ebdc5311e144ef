"""The facts of evidence: which client changed which job, at which step, how old a lease was. Pure data.

A fact holds values and no sentence. A person who reads a finding needs one tone throughout, and a program needs the
values, so the sentences are made in one place, `report.sentences`. Here are the facts that several promises share; the
facts of one promise alone are in `promises.reasons` and its neighbours. A promise of your own may add kinds of facts.

Every fact is a copy. The model goes on changing its claims and calls, and evidence must stay as it was when it was
found.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from pgqmodel.operations import Meaning, State, Status

__all__ = [
    "Answered",
    "Changed",
    "Claimed",
    "ClaimsMade",
    "Fact",
    "GaveBack",
    "GivenJob",
    "Granted",
    "JobSeen",
    "JobsSeen",
    "LeaseAge",
    "LeaseUntil",
    "Moment",
    "NeverGranted",
    "NewSession",
    "NoClaim",
    "SessionAlive",
    "SessionEnded",
    "TookOver",
    "TransactionEnded",
    "UnlockLost",
    "Unlocked",
    "Yet",
]


class Fact:
    """One known fact. Each kind of fact is a frozen subclass."""

    __slots__ = ()


@frozen
class Yet(Fact):
    """An event that the facts before it forbid."""

    what: Fact


# -- jobs --------------------------------------------------------------------------------------------------------------


@frozen
class Moment:
    """A point in time from a column of a job, and the first moment of the story, if that is known."""

    at: float
    start: float | None


@frozen(kw_only=True)
class JobSeen(Fact):
    """A job as it was, with the columns that decide its place in the order; points in time are a `Moment`."""

    job: str
    state: State
    run: str | None
    stage: int | None
    columns: tuple[tuple[str, Any], ...]


@frozen
class JobsSeen(Fact):
    """Some jobs as they were, and how many more there are that are not listed."""

    jobs: tuple[JobSeen, ...]
    more: int = 0


@frozen(kw_only=True)
class Changed(Fact):
    """A job changed; client and operation are missing if no known call could have made the change."""

    job: str
    before: State | None
    after: State | None
    meaning: Meaning
    client: str | None
    operation: str
    step: int


# -- claims ------------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class TookOver(Fact):
    """A client claimed a job that another one still held."""

    client: str
    job: str
    step: int


@frozen(kw_only=True)
class Claimed(Fact):
    """A client claimed a job; `ended` is how that claim ended, or None while it is current."""

    client: str
    job: str
    step: int
    ended: Fact | None = None


@frozen(kw_only=True)
class GaveBack(Fact):
    """A client gave its job back; the word for the job's state may be the same as before."""

    client: str
    operation: str
    job: str
    step: int


@frozen(kw_only=True)
class TransactionEnded(Fact):
    """An operation ended the transaction in which a client had claimed its job; the transaction was the lease."""

    client: str
    operation: str
    step: int


@frozen
class ClaimsMade(Fact):
    """Some claims of one job, oldest first."""

    claims: tuple[Claimed, ...]


@frozen(kw_only=True)
class NoClaim(Fact):
    """A client has no claim of the job that its call is about."""

    client: str
    job: str | None


@frozen(kw_only=True)
class LeaseAge(Fact):
    """The time since a lease began or was last extended, and how long it lasts; both in seconds.

    `beat_step` is the step of the last accepted heartbeat, or None if the claim itself began the lease.
    """

    beat_step: int | None
    age: float
    timeout: float


@frozen(kw_only=True)
class LeaseUntil(Fact):
    """The moment until which the holder has a job, from the job's row."""

    until: Moment


@frozen(kw_only=True)
class SessionAlive(Fact):
    """The session that made a claim has not ended, so its lease has not ended."""

    client: str


# -- calls -------------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Answered(Fact):
    """A call was answered. `begun` is the step at which it began, if that differs from the step of the answer."""

    client: str
    operation: str
    job: str | None
    begun: int | None
    step: int
    status: Status | None


@frozen(kw_only=True)
class GivenJob(Fact):
    """A claim was answered with a job."""

    client: str
    job: str
    step: int


# -- deploy locks ------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Granted(Fact):
    """A client was granted an environment's deploy lock; `freed` is why it lost the lock, None if it holds it."""

    client: str
    environment: str
    step: int
    freed: Fact | None = None


@frozen
class NeverGranted(Fact):
    """No client was ever granted an environment's deploy lock."""

    environment: str


@frozen(kw_only=True)
class Unlocked(Fact):
    """A client let go of its deploy lock."""

    client: str
    step: int


@frozen
class UnlockLost(Fact):
    """A client asked to unlock and the answer was lost, so the lock may be held or free."""

    client: str


@frozen(kw_only=True)
class SessionEnded(Fact):
    """A client's session ended."""

    client: str
    step: int


@frozen(kw_only=True)
class NewSession(Fact):
    """A client was seen in a new session, so its last one ended at some time before."""

    client: str
    step: int
