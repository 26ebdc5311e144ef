"""Judges a history of clients without commits: it holds if an order of its calls explains all answers.

A history is right if every job has an order of its calls that keeps real time and the sequential specification. This
is linearizability: if each object is linearizable, the whole is (Herlihy and Wing 1990). Jobs depend on each other
only by lost claims and lost enqueues; see `assign`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from attrs import define, field, frozen

from pgqmodel.checks.assign import Shortage, able, share
from pgqmodel.checks.calls import Case, read
from pgqmodel.checks.search import Budget, SearchResult, search
from pgqmodel.checks.sequential import (
    ATTEMPT_MISCOUNT,
    ATTEMPT_OVERRUN,
    DOUBLE_CLAIM,
    DUPLICATE_KEY,
    EARLY_RECLAIM,
    LOST_JOB,
    PHANTOM_JOB,
    RESURRECTION,
    STALE_SETTLEMENT,
    ZOMBIE_HEARTBEAT,
    Objection,
    Specification,
    TimedCall,
)
from pgqmodel.history import Event
from pgqmodel.model.facts import Fact, Yet
from pgqmodel.operations import CLAIM, ENQUEUE
from pgqmodel.promises import search_reasons as reasons

__all__ = ["Linearized", "linearize"]

_FIRST_ROUND = 20_000
"""The number of points that a job's search may explore in the first round, so that every job gets a turn."""
_CALLS_MAX = 8
"""How many calls of an order the facts list."""
_JOBS_MAX = 3
"""How many jobs without a verdict the facts list."""
_PRECEDENCE = (
    ATTEMPT_MISCOUNT,
    ATTEMPT_OVERRUN,
    DOUBLE_CLAIM,
    RESURRECTION,
    STALE_SETTLEMENT,
    ZOMBIE_HEARTBEAT,
    DUPLICATE_KEY,
    LOST_JOB,
    PHANTOM_JOB,
    EARLY_RECLAIM,
)
"""If different orders break different promises, the anomaly that comes first here gives the name: its order comes
closest to being right."""


@frozen(kw_only=True)
class Linearized:
    """The verdict with its evidence; `explored` counts the points that the searches went through.

    `unknown` means that time ran out, and is never a pass.
    """

    verdict: Literal["held", "broken", "unknown"]
    anomaly: str | None = None
    job: str | None = None
    facts: tuple[Fact, ...] = ()
    explored: int = 0


class _OutOfTimeError(Exception):
    """The time for judging is over."""


@define(kw_only=True)
class _Judgement:
    """Judges the cases of one history within one budget, and remembers the result of each search."""

    specification: Specification
    budget: Budget
    known: dict[tuple[str, tuple[tuple[int, int, int | None], ...]], bool] = field(factory=dict)

    def find(self, case: Case, calls: Iterable[TimedCall], explored_max: int | None = None) -> SearchResult:
        """Search an order of a job's own calls and of some lost calls."""
        return search((*case.own, *calls), self.specification, self.budget, explored_max)

    def holds(self, case: Case, calls: tuple[TimedCall, ...]) -> bool:
        """Whether the case holds with these lost calls."""
        key = (case.job, tuple((call.number, call.invoked, call.session_ends) for call in calls))
        if key not in self.known:
            held = self.find(case, calls).held
            if held is None:
                raise _OutOfTimeError
            self.known[key] = held
        return self.known[key]

    def examine(self, case: Case, explored_max: int | None = None) -> SearchResult:
        """Search the case alone: first without lost calls, then with the strongest ones it could have had."""
        found = self.find(case, (), explored_max)
        if found.held is True:
            self.known[case.job, ()] = True
        lost = able(case)
        return found if found.held is not False or not lost else self.find(case, lost, explored_max)


def linearize(
    events: Sequence[Event],
    *,
    lease_seconds: float | None = None,
    attempts_max: int | None = None,
    seconds_max: float = 60.0,
    clock: Callable[[], float],
) -> Linearized:
    """Judge a history by its clients' calls and answers alone, within `seconds_max` on `clock`.

    Without `lease_seconds`, or if the history has no times, a reclaim may take any running job, and a claim none.
    """
    reading = read(events)
    cases = reading.cases()
    budget = Budget(clock=clock, ends_at=clock() + seconds_max)
    specification = Specification(lease_seconds=lease_seconds, attempts_max=attempts_max)
    judgement = _Judgement(specification=specification, budget=budget)
    open_cases = list(cases)
    for explored_max in (_FIRST_ROUND, None):
        given_up = []
        for case in open_cases:
            found = judgement.examine(case, explored_max)
            if found.held is None:
                given_up.append(case)
            elif not found.held:
                return _broken(specification, case, found, budget)
        open_cases = given_up
    if open_cases:
        return _unknown(open_cases, seconds_max, budget)
    try:
        shortage = share(cases, judgement.holds)
    except _OutOfTimeError:
        return _unknown(cases, seconds_max, budget)
    return Linearized(verdict="held", explored=budget.explored) if shortage is None else _short(shortage, budget)


def _unknown(cases: Sequence[Case], seconds_max: float, budget: Budget) -> Linearized:
    jobs = tuple(case.job for case in cases)
    facts = (
        reasons.SearchGivenUp(explored=budget.explored, seconds_max=seconds_max),
        reasons.NotJudged(jobs=jobs[:_JOBS_MAX], more=len(jobs[_JOBS_MAX:])),
        reasons.NoOrderFound(),
    )
    return Linearized(verdict="unknown", facts=facts, explored=budget.explored)


def _broken(specification: Specification, case: Case, found: SearchResult, budget: Budget) -> Linearized:
    """The verdict for an answer that no order explains, named after the order that comes closest."""
    failed = found.failed
    assert failed is not None, "a search that failed names the answer it failed at"
    objections = list(_objections(specification, found, failed))
    anomaly = min((objection.anomaly for objection in objections), key=_PRECEDENCE.index)
    because = [objection.because for objection in objections if objection.anomaly == anomaly]
    because += [objection.because for objection in objections if objection.anomaly != anomaly]
    first, *others = dict.fromkeys(because)
    facts = (
        _order(case, found),
        reasons.AnswerAccepted(call=failed.fact(), job=case.job),
        Yet(reasons.CannotComeNext(first)),
        *map(reasons.InAnotherOrder, others[:2]),
    )
    return Linearized(verdict="broken", anomaly=anomaly, job=case.job, facts=facts, explored=budget.explored)


def _objections(specification: Specification, found: SearchResult, failed: TimedCall) -> Iterator[Objection]:
    for life in found.reached:
        if specification.after(life, failed) is None:
            yield specification.objection(life, failed)


def _order(case: Case, found: SearchResult) -> Fact:
    if not found.order:
        return reasons.NothingBefore(case.job)
    calls = tuple(call.fact() for call in found.order)
    return reasons.LongestOrder(job=case.job, earlier=len(calls[:-_CALLS_MAX]), calls=calls[-_CALLS_MAX:])


def _short(shortage: Shortage, budget: Budget) -> Linearized:
    """The verdict where more jobs need a lost call than there are such calls."""
    facts = (
        reasons.SharedByJobs(jobs=tuple(case.job for case in shortage.cases), operation=shortage.operation),
        reasons.CanHaveServed(tuple(call.fact() for call in shortage.calls)),
        Yet(reasons.ServesOneJob()),
    )
    anomaly, job = _SHORT_OF[shortage.operation], shortage.cases[-1].job
    return Linearized(verdict="broken", anomaly=anomaly, job=job, facts=facts, explored=budget.explored)


_SHORT_OF = {ENQUEUE.name: PHANTOM_JOB, CLAIM.name: ATTEMPT_MISCOUNT, "settle": STALE_SETTLEMENT}
"""For each operation, the anomaly if there are too few lost calls of it."""
