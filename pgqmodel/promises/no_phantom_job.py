"""`no-phantom-job`: every claimed job was enqueued by a committed transaction."""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call, Change
from pgqmodel.model.facts import GivenJob, Yet
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, CLAIM, Meaning, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Precedence, Promise, Rule, Trial
from pgqmodel.promises.reasons import NotEnqueued

__all__ = ["PROMISE"]

_CLAIM = frozenset({CLAIM.name})


def _conjured(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A job appeared without an enqueue; one that an enqueue added in an odd state is no phantom."""
    if change.job in state.gone or state.adds(change):
        return None
    absent = NotEnqueued(job=change.job, shown=True)
    return PROMISE.broken(state, change.job, absent, Yet(change.seen(state.step)))


def _unheard_of(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A claim was answered with a job that never existed."""
    job = call.returned_job
    if call.status is not Status.OK or job is None or state.known(job) is not None:
        return None
    absent = NotEnqueued(job=job, shown=False)
    return PROMISE.broken(state, job, absent, Yet(GivenJob(client=call.client, job=job, step=state.step)))


def _was_tried(state: ModelState, call: Call) -> bool:
    """A claim was answered with a job."""
    return call.status in ANSWERED and call.returned_job is not None


PROMISE: Promise = Promise(
    name="no-phantom-job",
    says="what is claimed was enqueued by a committed transaction",
    anomalies=("phantom-job",),
    precedence=Precedence.OWNER,
    rules=(
        Rule(Hook.CHANGED, _conjured, frozenset({Meaning.CONJURED})),
        Rule(Hook.RETURNED, _unheard_of, _CLAIM),
    ),
    trials=(Trial(Hook.RETURNED, _was_tried, _CLAIM),),
    unasked=lambda outline: False,  # an operation may add jobs, and need not say so where this is not promised
    inferred=True,
)
