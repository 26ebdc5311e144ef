"""`claim-order`: a claim takes the best eligible job in the declared order among those nobody else has locked.

In an explored history the snapshot of a claim is known. A claim is judged only if no other client had a transaction
open and none committed meanwhile. For a recorded history see `passing_over`.
"""

from __future__ import annotations

from pgqmodel.model.change import Change
from pgqmodel.model.eligible import best, can_judge, eligible, is_better
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import job_seen, jobs_seen
from pgqmodel.model.state import ModelState
from pgqmodel.operations import Meaning
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.outline import shows_order
from pgqmodel.promises.passing_over import PassingOver
from pgqmodel.promises.promise import Hook, Promise, Rule, Source, Trial, Watch
from pgqmodel.promises.reasons import Chose, NothingElseOpen, PassedOver
from pgqmodel.promises.value import ORDER, Order

__all__ = ["PROMISE"]

_CLAIMED = frozenset({Meaning.CLAIMED})
_EXPLORED, _RECORDED = frozenset({Source.EXPLORED}), frozenset({Source.RECORDED})


def _claimed(state: ModelState, change: Change, value: Order) -> Broken | None:
    """A claim took a job although a better one was there."""
    job, call = change.before, change.call
    if job is None or call is None or not can_judge(state, call):
        return None
    pool = eligible(state, call, taken=job)
    if job not in pool:
        pool = eligible(state, call, staged=False, taken=job)
    if not pool:
        return None
    first = best(pool, value)
    if not is_better(first, job, value):
        return None
    passed = PassedOver(
        client=call.client, jobs=jobs_seen(state, [first]), taken=job_seen(state, job), order=tuple(value)
    )
    yet = Yet(Chose(client=call.client, job=job.job, step=state.step))
    return PROMISE.broken(state, job.job, passed, NothingElseOpen(), yet)


def _could_choose(state: ModelState, change: Change) -> bool:
    """A claim took one of several jobs that it could have taken."""
    call = change.call
    if call is None or not can_judge(state, call):
        return False
    return len(state.pending) > 1 and len(eligible(state, call, taken=change.before)) > 1


PROMISE: Promise = Promise(
    name="claim-order",
    says="a claim takes the best eligible job in the declared order among those nobody else has locked",
    anomalies=("order-inversion",),
    value=ORDER,
    rules=(Rule(Hook.CHANGED, _claimed, _CLAIMED, _EXPLORED),),
    trials=(Trial(Hook.CHANGED, _could_choose, _CLAIMED, _EXPLORED),),
    watches=(Watch(PassingOver, _RECORDED, lambda watcher, value: watcher.hold_to_order(PROMISE, value)),),
    allowed=shows_order,
)
