"""`recovery`: once faults stop and leases lapse, every job reaches a final state or is claimed again within a bound.

Judged when a drain is over; see `pgqmodel.world.drain`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pgqmodel.history import Draining, Job
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import listed, tell_claims, tell_job
from pgqmodel.operations import State
from pgqmodel.promises.promise import Broken, Hook, Promise, Rule, Trial

__all__ = ["PROMISE"]


def _stuck(state: ModelState, event: Draining, value: Any) -> Broken | None:
    """A job is neither final nor on its way to it."""
    job = next(state.left_over(event.poison), None)
    if job is None:
        return None
    over = "Faults stopped, every client was connected, leases lapsed and everybody had a turn until nothing moved."
    return PROMISE.broken(state, job.job, over, f"Yet {tell_job(job)} is not final.", *_plight(state, job))


def _plight(state: ModelState, job: Job) -> Iterator[str]:
    """What is known of the reason."""
    if job.job in state.claims:
        yield tell_claims(state, job.job)
    missing = state.missing_before(job)
    if job.state is State.PENDING and missing:
        yield f"It waits for {listed(missing)}."
    if job.state is State.PENDING and state.is_spent(job):
        yield f"It was claimed {len(state.claims.get(job.job, ()))} times, which is all that max_attempts allows."


PROMISE = Promise(
    name="recovery",
    says="once faults stop and leases lapse, every job reaches a final state or is claimed again within a bound",
    anomalies=("stuck-job",),
    rules=(Rule(Hook.DRAINED, _stuck),),
    trials=(Trial(Hook.DRAINED, lambda state, event: state.unfinished > 0),),
)
