"""`poison-isolated`: a job that always fails delays only itself. Judged when a drain with such a job is over."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Draining
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import jobs_seen
from pgqmodel.model.state import ModelState
from pgqmodel.operations import FAIL, State
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Promise, Rule, Trial
from pgqmodel.promises.waiting_reasons import AlwaysFails, NoTurn

__all__ = ["PROMISE"]


def _blocked(state: ModelState, event: Draining, value: Any) -> Broken | None:
    """A job that could have run did not, while the one that always fails ran again and again."""
    if event.poison is None or state.drain is None:
        return None
    tries = [claim for claim in state.claims.get(event.poison, ()) if claim.instant > state.drain_instant]
    waiting = [
        job
        for job in state.left_over(event.poison)
        if job.state is State.PENDING and not state.missing_before(job) and not state.is_spent(job.job)
    ]
    if not tries or not waiting:
        return None
    poison = AlwaysFails(job=event.poison, claims=len(tries), step=tries[0].step)
    return PROMISE.broken(state, waiting[0].job, poison, Yet(NoTurn(jobs_seen(state, waiting))))


PROMISE: Promise = Promise(
    name="poison-isolated",
    says="a job that always fails delays only itself",
    anomalies=("poison-block",),
    operations=(FAIL.name,),
    rules=(Rule(Hook.DRAINED, _blocked),),
    trials=(Trial(Hook.DRAINED, lambda state, event: event.poison is not None and state.unfinished > 1),),
    unasked=lambda outline: False,  # no job is poisoned where it is not promised
)
