"""`stage-order`: no job of a stage is claimed before every job of the stages it needs has completed."""

from __future__ import annotations

from itertools import islice
from typing import Any

from pgqmodel.model.change import Call, Change
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import jobs_seen
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, CLAIM, Meaning
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Precedence, Promise, Rule, Trial
from pgqmodel.promises.reasons import NeedsFirst, StageFirst, Unfinished

__all__ = ["PROMISE"]

_LOOKED_AT_MAX = 16
"""The number of needy jobs that a trial looks at, so that it stays cheap in long histories."""


def _claimed(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A job was claimed while one of an earlier stage was unfinished, when the claim looked and when it committed."""
    job, call = change.before, change.call
    if job is None or call is None or not state.is_gated(job):
        return None
    seen = call.ran_version if call.ran_version is not None else state.version
    missing = [other for other in state.missing_before(job) if state.born.get(other.job, 0) < seen]
    if not missing:
        return None
    first = (
        NeedsFirst(job=job.job, needs=job.needs)
        if missing[0].job in job.needs
        else StageFirst(job=job.job, stage=job.stage, run=job.run)
    )
    there = Unfinished(jobs=jobs_seen(state, missing), client=call.client)
    return PROMISE.broken(state, job.job, first, there, Yet(change.seen(state.step)))


def _was_closed(state: ModelState, call: Call) -> bool:
    """A claim was answered while some pending job had to wait for another."""
    if call.status not in ANSWERED:
        return False
    return state.gated > 0 or any(state.is_gated(job) for job in islice(state.needy.values(), _LOOKED_AT_MAX))


PROMISE: Promise = Promise(
    name="stage-order",
    says="no job of a stage is claimed before every job of the stages it needs has completed",
    anomalies=("stage-skip",),
    precedence=Precedence.PLACE,
    columns=("jobs.run", "jobs.stage"),
    rules=(Rule(Hook.CHANGED, _claimed, frozenset({Meaning.CLAIMED})),),
    trials=(Trial(Hook.RETURNED, _was_closed, frozenset({CLAIM.name})),),
    inferred=True,
)
