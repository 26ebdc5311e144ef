"""The facts about searches: the orders of calls that were tried for a job, and why none explains every answer.

A history without commits does not say in which order its calls took effect, so an order is searched for
(`checks.linearize`). An objection is why a call cannot come next in an order.
"""

from __future__ import annotations

from attrs import frozen

from pgqmodel.model.facts import Fact
from pgqmodel.operations import State

__all__ = [
    "AnswerAccepted",
    "AttemptAfter",
    "CallSpan",
    "CanHaveServed",
    "CannotComeNext",
    "ClaimNotCurrent",
    "ClaimedOut",
    "EndOfSession",
    "EnqueuedAlready",
    "HeldByClaim",
    "InAnotherOrder",
    "LapsedLater",
    "LongestOrder",
    "NoOrderFound",
    "NotJudged",
    "NotYetEnqueued",
    "NothingBefore",
    "SearchGivenUp",
    "ServesOneJob",
    "SharedByJobs",
    "WasAlready",
    "WasOver",
]


# -- calls -------------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class CallSpan(Fact):
    """A call from its invocation to its answer; `returned` is None if no answer came."""

    client: str
    operation: str
    step: int
    returned: int | None


@frozen(kw_only=True)
class EndOfSession(Fact):
    """The end of the session in which a client had made a claim."""

    client: str
    claimed: int


# -- no order explains the answers -------------------------------------------------------------------------------------


@frozen
class NothingBefore(Fact):
    """No call can have changed a job before the answer that cannot be explained."""

    job: str


@frozen(kw_only=True)
class LongestOrder(Fact):
    """The longest order that explains the answers before; `earlier` counts the calls before those that are listed."""

    job: str
    earlier: int
    calls: tuple[Fact, ...]


@frozen(kw_only=True)
class AnswerAccepted(Fact):
    """A call about a job was accepted."""

    call: Fact
    job: str


@frozen
class CannotComeNext(Fact):
    """The call that was accepted cannot come next in any order, because of an objection."""

    because: Fact


@frozen
class InAnotherOrder(Fact):
    """The objection to the call in another order."""

    because: Fact


# -- objections --------------------------------------------------------------------------------------------------------


@frozen
class LapsedLater(Fact):
    """The former holder lost the job when its lease lapsed, which was after the call."""


@frozen
class WasAlready(Fact):
    """The job that an enqueue was answered with was in a state already."""

    state: State | None


@frozen
class EnqueuedAlready(Fact):
    """Another enqueue had added the job that an enqueue was answered with."""


@frozen
class NotYetEnqueued(Fact):
    """No enqueue can have added the job before."""


@frozen
class HeldByClaim(Fact):
    """A claim, by the number of its call, was current, and no call can have ended it."""

    call: int | None


@frozen
class WasOver(Fact):
    """The job was in a final state."""

    state: State | None


@frozen(kw_only=True)
class AttemptAfter(Fact):
    """A claim was answered with an attempt number that does not follow from the claims before it."""

    attempt: int
    claims: int


@frozen(kw_only=True)
class ClaimedOut(Fact):
    """The job had been claimed as often as it may be."""

    claims: int
    most: int | None


@frozen(kw_only=True)
class ClaimNotCurrent(Fact):
    """The claim that a call rests on was not current: another call held the job, or it was in `state`."""

    claim: int | None
    holder: int | None = None
    state: State | None = None


# -- lost calls that several jobs need ---------------------------------------------------------------------------------


@frozen(kw_only=True)
class SharedByJobs(Fact):
    """Each of the jobs can be explained by itself with a lost call of one kind; `operation` is that kind."""

    jobs: tuple[str, ...]
    operation: str


@frozen
class CanHaveServed(Fact):
    """The lost calls that can have served the jobs."""

    calls: tuple[Fact, ...]


@frozen
class ServesOneJob(Fact):
    """A lost call served one job at most, and the calls cannot be shared out so that each job has what it needs."""


# -- no verdict --------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class SearchGivenUp(Fact):
    """The search was given up after so many points, when its time was over."""

    explored: int
    seconds_max: float


@frozen(kw_only=True)
class NotJudged(Fact):
    """Some of the jobs that were not judged to the end, and how many more there are."""

    jobs: tuple[str, ...]
    more: int = 0


@frozen
class NoOrderFound(Fact):
    """The search found no order, and did not find that there is none."""
