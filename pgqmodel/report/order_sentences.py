"""The sentences of orders: of the edges that a graph reads out, and of the orders that a search tried.

`report.sentences` joins them to the rest. The sentences of facts that hold any other fact stand there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgqmodel.model.facts import Fact
from pgqmodel.operations import CLAIM, ENQUEUE
from pgqmodel.phrases import counted, often
from pgqmodel.promises import order_reasons as orders
from pgqmodel.promises import search_reasons as searches

__all__ = ["OF_PATHS", "OF_SEARCHES", "WHATEVER_THE_ORDER"]


# -- edges -------------------------------------------------------------------------------------------------------------


def _completes_first(fact: orders.CompletesFirst) -> str:
    because = f"{fact.job} needs {fact.needed}"
    if fact.run is not None:
        because = f"stage {fact.stage} of run {fact.run} needs stage {fact.needed_stage}"
    return f"{fact.needed} must complete before {fact.job} is claimed, because {because}"


def _claimed_at(fact: orders.ClaimedAt) -> str:
    return f"{fact.client} claimed {fact.job} at step {fact.step}"


def _attempts_grow(fact: orders.AttemptsGrow) -> str:
    later = f"Attempt {fact.attempt} of {fact.job} ({fact.client})"
    former = f"attempt {fact.former_attempt} ({fact.former_client})"
    return f"{later} must not come after {former}, because attempt numbers grow with every claim"


def _rests_on_claim(fact: orders.RestsOnClaim) -> str:
    rests = f"{fact.client}'s {fact.operation} of {fact.job} rests on its claim of step {fact.claimed}"
    return f"{rests}, so it must be accepted before that claim is over"


def _taken_back(fact: orders.TakenBack) -> str:
    return f"{fact.job} was taken back at step {fact.step}"


def _accepted_late(fact: orders.AcceptedLate) -> str:
    over = _taken_back(fact.over) if isinstance(fact.over, orders.TakenBack) else _claimed_at(fact.over)
    return f"{over}, and the {fact.operation} was accepted at step {fact.step}, after it"


def _released_first(fact: orders.ReleasedFirst) -> str:
    release = f"{fact.client} must let go of the lock of {fact.environment}, granted at step {fact.granted}"
    return f"{release}, before it is granted to {fact.other}, because one session holds it at a time"


OF_PATHS: dict[type[Fact], Callable[[Any], str]] = {
    orders.CompletesFirst: _completes_first,
    orders.ClaimedAt: _claimed_at,
    orders.NeverCompleted: lambda fact: f"{_claimed_at(fact.claimed)}, and {fact.needed} never completed",
    orders.CompletedAt: lambda fact: f"{fact.job} completed only at step {fact.step}",
    orders.StepBefore: lambda fact: f"Step {fact.step} came before step {fact.later}",
    orders.AttemptsGrow: _attempts_grow,
    orders.ClaimsInOrder: lambda fact: f"step {fact.step} came before step {fact.later}",
    orders.RestsOnClaim: _rests_on_claim,
    orders.TakenBack: _taken_back,
    orders.AcceptedLate: _accepted_late,
    orders.ReleasedFirst: _released_first,
    orders.GrantedAt: lambda fact: f"{fact.client} was granted it at step {fact.step}",
    orders.HeldAsShown: lambda fact: (
        f"{fact.client} held it until step {fact.step}, as its {fact.operation} of then shows"
    ),
    orders.MustWait: lambda fact: f"{fact.client} must wait for a lock that {fact.holder} holds",
}


# -- searches ----------------------------------------------------------------------------------------------------------

WHATEVER_THE_ORDER = "whatever the order, and whatever became of lost answers, it cannot come next: {because}"


def _call(fact: Fact) -> str:
    """A call as a noun: "A's claim (step 3 to 5)"."""
    return OF_SEARCHES[type(fact)](fact)


def _call_span(fact: searches.CallSpan) -> str:
    over = f" to {fact.returned}" if fact.returned is not None else ", never answered"
    return f"{fact.client}'s {fact.operation} (step {fact.step}{over})"


def _longest_order(fact: searches.LongestOrder) -> str:
    calls = [counted(fact.earlier, "call")] if fact.earlier else []
    order = ", then ".join([*calls, *map(_call, fact.calls)])
    return f"The longest order that explains what was answered before, for {fact.job}: {order}"


def _claim_not_current(fact: searches.ClaimNotCurrent) -> str:
    claim = "whatever claim it rests on" if fact.claim is None else f"the claim that it rests on, call {fact.claim},"
    was = f"held by call {fact.holder}" if fact.holder is not None else fact.state or "not there"
    return f"{claim} was not current: the job was {was}"


def _not_judged(fact: searches.NotJudged) -> str:
    return f"Not judged to the end: {', '.join(fact.jobs)}" + (f" and {fact.more} more" if fact.more else "")


_NEEDS = {
    ENQUEUE.name: "each needs an enqueue whose answer was lost",
    CLAIM.name: "their attempt numbers need claims whose answers were lost",
    "settle": "accepted calls on each of them rest on the same lost claim",
}

OF_SEARCHES: dict[type[Fact], Callable[[Any], str]] = {
    searches.CallSpan: _call_span,
    searches.EndOfSession: lambda fact: f"the end of the session of {fact.client}'s claim of step {fact.claimed}",
    searches.NothingBefore: lambda fact: f"Nothing can have happened to {fact.job} before",
    searches.LongestOrder: _longest_order,
    searches.AnswerAccepted: lambda fact: f"{_call(fact.call)} of {fact.job} was accepted",
    searches.LapsedLater: lambda fact: "whoever held the job before lost it only when its lease had lapsed, later",
    searches.WasAlready: lambda fact: f"the job that it was answered with was {fact.state or 'not there'} already",
    searches.EnqueuedAlready: lambda fact: (
        "another enqueue had added the job that it was answered with, so one of them was lost"
    ),
    searches.NotYetEnqueued: lambda fact: "no enqueue can have added the job before",
    searches.HeldByClaim: lambda fact: f"the claim of call {fact.call} was current and nobody can have taken it back",
    searches.WasOver: lambda fact: f"the job was {fact.state or 'not there'}, which is final",
    searches.AttemptAfter: lambda fact: (
        f"it was answered with attempt {fact.attempt} after {counted(fact.claims, 'claim')}"
    ),
    searches.ClaimedOut: lambda fact: (
        f"the job had been claimed {often(fact.claims)}, which is all that {fact.most} allows"
    ),
    searches.ClaimNotCurrent: _claim_not_current,
    searches.SharedByJobs: lambda fact: (
        f"Each by itself can be explained: {', '.join(fact.jobs)}. But {_NEEDS[fact.operation]}"
    ),
    searches.CanHaveServed: lambda fact: f"These can have served: {', '.join(map(_call, fact.calls)) or 'none'}",
    searches.ServesOneJob: lambda fact: "such a call has served one job at most, and there is no way to share them out",
    searches.SearchGivenUp: lambda fact: (
        f"The search was given up after {counted(fact.explored, 'point')}: the limit is {fact.seconds_max:g} s"
    ),
    searches.NotJudged: _not_judged,
    searches.NoOrderFound: lambda fact: "Neither an order nor its impossibility was found",
}
