"""Judging a client history whose commit order nobody knows: does any order of its calls explain the answers.

A history is right if every job has an order of its calls that keeps real time and the sequential specification
(linearizability, which holds of the whole if it holds of each object: Herlihy and Wing 1990). Jobs are coupled by lost
claims and enqueues alone: see `assign`.
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
from pgqmodel.operations import CLAIM, ENQUEUE
from pgqmodel.phrases import counted

__all__ = ["Linearized", "linearize"]

_FIRST_ROUND = 20_000
"""How many points each job's search may explore before every other job has had its turn."""
_TOLD_MAX = 8
"""How many calls of an order an explanation reads out."""
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
"""Where different orders break different promises, the one that comes closest to being right gives the name."""


@frozen(kw_only=True)
class Linearized:
    """The verdict with its evidence; `explored` counts the points that the searches went through.

    `unknown` means that time ran out, and is never a pass.
    """

    verdict: Literal["held", "broken", "unknown"]
    anomaly: str | None = None
    job: str | None = None
    explanation: tuple[str, ...] = ()
    explored: int = 0


class _OutOfTimeError(Exception):
    """There is no time to judge the case any further."""


@define(kw_only=True)
class _Judgement:
    """One history's cases, judged within one budget; what was searched once is remembered."""

    specification: Specification
    budget: Budget
    known: dict[tuple[str, tuple[tuple[int, int, int | None], ...]], bool] = field(factory=dict)

    def find(self, case: Case, calls: Iterable[TimedCall], explored_max: int | None = None) -> SearchResult:
        """Search a job's calls together with some that may be its own."""
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
        """The case by itself, with lost calls at its service that can do whatever any can."""
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
    """Judge a history by its clients' calls and answers alone, in `seconds_max` by the clock that is given.

    Without `lease_seconds`, or where the history has no times, a reclaim may take any running job, and a claim none.
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
    jobs = ", ".join(case.job for case in cases[:3]) + (f" and {len(cases) - 3} more" if len(cases) > 3 else "")
    limit = f"The search was given up after {counted(budget.explored, 'point')}: the limit is {seconds_max:g} s."
    explanation = (limit, f"Not judged to the end: {jobs}.", "Neither an order nor its impossibility was found.")
    return Linearized(verdict="unknown", explanation=explanation, explored=budget.explored)


def _broken(specification: Specification, case: Case, found: SearchResult, budget: Budget) -> Linearized:
    """The first answer that no order explains, named after what would have come closest."""
    failed = found.failed
    assert failed is not None, "a search that failed names the answer it failed at"
    objections = list(_objections(specification, found, failed))
    anomaly = min((objection.anomaly for objection in objections), key=_PRECEDENCE.index)
    because = [objection.because for objection in objections if objection.anomaly == anomaly]
    because += [objection.because for objection in objections if objection.anomaly != anomaly]
    reasons = list(dict.fromkeys(because))
    explanation = (
        *_read_out(case, found),
        f"{failed.told()} of {case.job} was accepted.",
        f"Yet whatever the order, and whatever became of lost answers, it cannot come next: {reasons[0]}.",
        *(f"In another order: {reason}." for reason in reasons[1:3]),
    )
    return Linearized(
        verdict="broken", anomaly=anomaly, job=case.job, explanation=explanation, explored=budget.explored
    )


def _objections(specification: Specification, found: SearchResult, failed: TimedCall) -> Iterator[Objection]:
    for life in found.reached:
        if specification.after(life, failed) is None:
            yield specification.objection(life, failed)


def _read_out(case: Case, found: SearchResult) -> Iterator[str]:
    if not found.order:
        yield f"Nothing can have happened to {case.job} before."
        return
    told = ", then ".join(call.told() for call in found.order[-_TOLD_MAX:])
    before = f"{counted(len(found.order) - _TOLD_MAX, 'call')}, then " if len(found.order) > _TOLD_MAX else ""
    yield f"The longest order that explains what was answered before, for {case.job}: {before}{told}."


def _short(shortage: Shortage, budget: Budget) -> Linearized:
    """More jobs need a lost call than there are."""
    jobs = ", ".join(case.job for case in shortage.cases)
    calls = ", ".join(call.told() for call in shortage.calls) or "none"
    needs, anomaly = _NEEDS[shortage.operation]
    explanation = (
        f"Each by itself can be explained: {jobs}. But {needs}.",
        f"These can have served: {calls}.",
        "Yet such a call has served one job at most, and there is no way to share them out.",
    )
    job = shortage.cases[-1].job
    return Linearized(verdict="broken", anomaly=anomaly, job=job, explanation=explanation, explored=budget.explored)


_NEEDS = {
    ENQUEUE.name: ("each needs an enqueue whose answer was lost", PHANTOM_JOB),
    CLAIM.name: ("their attempt numbers need claims whose answers were lost", ATTEMPT_MISCOUNT),
    "settle": ("accepted calls on each of them rest on the same lost claim", STALE_SETTLEMENT),
}
