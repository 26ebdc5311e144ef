"""`recovery`: once faults stop and leases lapse, every job reaches a final state or is claimed again within a bound.

Judged when a drain is over; see `pgqmodel.explore.fair_ending`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pgqmodel.history import Draining, Job
from pgqmodel.model.facts import Fact, Yet
from pgqmodel.model.gathering import claimed, job_seen, jobs_seen, last_claims
from pgqmodel.model.state import ModelState
from pgqmodel.operations import UNHELD, State
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.lateness import Lateness
from pgqmodel.promises.promise import Hook, Precedence, Promise, Rule, Source, Trial, Watch
from pgqmodel.promises.reasons import Spent
from pgqmodel.promises.waiting_reasons import (
    DrainWentQuiet,
    LeftRunning,
    NeverPromoted,
    NotFinal,
    QuietFor,
    WaitsFor,
)

__all__ = ["PROMISE"]


def _stuck(state: ModelState, event: Draining, value: Any) -> Broken | None:
    """A job is neither final nor on its way to it."""
    job = next(state.left_over(event.poison), None)
    if job is None:
        return _late(state)
    return PROMISE.broken(state, job.job, DrainWentQuiet(), Yet(NotFinal(job_seen(state, job))), *_plight(state, job))


def _late(state: ModelState) -> Broken | None:
    """A job came to its end, and not before its lease had lasted for much too long; where it may be lost, no matter."""
    lateness: Lateness | None = None if state.at_most_once else state.watchers.get(Lateness)
    overdue = next(iter(lateness.found.values()), None) if lateness is not None else None
    if overdue is None:
        return None
    claim, job = overdue.claim, overdue.claim.job
    quiet = QuietFor(client=claim.client, seconds=overdue.quiet_seconds, timeout=state.timeout_seconds)
    yet = Yet(LeftRunning(client=overdue.call.client, job=job, step=overdue.step))
    return PROMISE.broken(state, job, claimed(claim), quiet, yet)


def _plight(state: ModelState, job: Job) -> Iterator[Fact | None]:
    """The facts that may be the reason why a job is stuck."""
    yield last_claims(state, job.job)
    missing = state.missing_before(job)
    if job.state in UNHELD and missing:
        yield WaitsFor(jobs_seen(state, missing))
    if job.state is State.WAITING:
        yield NeverPromoted()
    if job.state is State.PENDING and state.is_spent(job.job):
        yield Spent(job=job.job, claims=len(state.claims.get(job.job, ())))


PROMISE: Promise = Promise(
    name="recovery",
    says="once faults stop and leases lapse, every job reaches a final state or is claimed again within a bound",
    anomalies=("stuck-job",),
    precedence=Precedence.END,
    rules=(Rule(Hook.DRAINED, _stuck),),
    trials=(Trial(Hook.DRAINED, lambda state, event: state.unfinished > 0),),
    watches=(Watch(Lateness, frozenset({Source.EXPLORED})),),
    inferred=True,
    needs_ends=True,
)
