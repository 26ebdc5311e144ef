"""`recovery`: once faults stop and leases lapse, every job reaches a final state or is claimed again within a bound.

Judged when a drain is over; see `pgqmodel.explore.fair_ending`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pgqmodel.history import Draining, Job
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import listed, seconds, tell_claim, tell_claims, tell_job
from pgqmodel.operations import UNHELD, State
from pgqmodel.phrases import often
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.lateness import Lateness
from pgqmodel.promises.promise import Hook, Precedence, Promise, Rule, Source, Trial, Watch

__all__ = ["PROMISE"]


def _stuck(state: ModelState, event: Draining, value: Any) -> Broken | None:
    """A job is neither final nor on its way to it."""
    job = next(state.left_over(event.poison), None)
    if job is None:
        return _late(state)
    over = "Faults stopped, every client was connected, leases lapsed and everybody had a turn until nothing moved."
    return PROMISE.broken(state, job.job, over, f"Yet {tell_job(state, job)} is not final.", *_plight(state, job))


def _late(state: ModelState) -> Broken | None:
    """A job came to its end, and not before its lease had lasted for much too long."""
    lateness: Lateness | None = state.watchers.get(Lateness)
    overdue = next(iter(lateness.found.values()), None) if lateness is not None else None
    if overdue is None:
        return None
    claim, job = overdue.claim, overdue.claim.job
    quiet = (
        f"{claim.client}'s session had ended, and nobody did anything for {seconds(overdue.quiet_seconds)}: "
        f"the timeout is {seconds(state.timeout_seconds)}."
    )
    yet = f"Yet {overdue.call.client}'s reclaim left it at step {overdue.step}: {job} was still running."
    return PROMISE.broken(state, job, tell_claim(claim), quiet, yet)


def _plight(state: ModelState, job: Job) -> Iterator[str]:
    """What is known of the reason."""
    if job.job in state.claims:
        yield tell_claims(state, job.job)
    missing = state.missing_before(job)
    if job.state in UNHELD and missing:
        yield f"It waits for {listed(state, missing)}."
    if job.state is State.WAITING:
        yield "Every maintenance operation had its turns, and none promoted it."
    if job.state is State.PENDING and state.is_spent(job.job):
        yield f"It was claimed {often(len(state.claims.get(job.job, ())))}, which is all that max_attempts allows."


PROMISE: Promise = Promise(
    name="recovery",
    says="once faults stop and leases lapse, every job reaches a final state or is claimed again within a bound",
    anomalies=("stuck-job",),
    precedence=Precedence.END,
    rules=(Rule(Hook.DRAINED, _stuck),),
    trials=(Trial(Hook.DRAINED, lambda state, event: state.unfinished > 0),),
    watches=(Watch(Lateness, frozenset({Source.EXPLORED})),),
)
