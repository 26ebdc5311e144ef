"""`live-limit`: at every instant no more than the declared number of jobs of a key are live."""

from __future__ import annotations

from pgqmodel.history import Observed
from pgqmodel.model.change import Call
from pgqmodel.model.eligible import column, saturated
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import claimed
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, CLAIM, State
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Promise, Rule, Trial
from pgqmodel.promises.reasons import AllRunning, LimitIs
from pgqmodel.promises.value import LIMIT, Limit

__all__ = ["PROMISE"]


def _observed(state: ModelState, observed: Observed, value: Limit) -> Broken | None:
    """More jobs of a key run than may."""
    for name, job in observed.jobs.items():
        key = column(job, value.column) if job is not None and job.state is State.RUNNING else None
        if key is None or len(state.limited.get(key, ())) <= value.limit:
            continue
        running = [state.running[other] for other in state.limited[key]]
        limit = LimitIs(limit=value.limit, column=value.column, key=key)
        claims = [state.current[other.job] for other in running if other.job in state.current]
        yet = Yet(AllRunning(jobs=tuple(other.job for other in running), step=state.step))
        return PROMISE.broken(state, name, limit, *map(claimed, claims), yet)
    return None


def _was_full(state: ModelState, call: Call) -> bool:
    """A claim was answered while some key had as many running jobs as it may have."""
    return call.status in ANSWERED and bool(saturated(state))


PROMISE: Promise = Promise(
    name="live-limit",
    says="at every instant no more than the declared number of jobs of a key are live",
    anomalies=("limit-exceeded",),
    value=LIMIT,
    rules=(Rule(Hook.OBSERVED, _observed),),
    trials=(Trial(Hook.RETURNED, _was_full, frozenset({CLAIM.name})),),
    options=lambda value: {"limit": value},
    allowed=lambda outline: outline.shows("jobs.environment"),
    inferred=True,
)
