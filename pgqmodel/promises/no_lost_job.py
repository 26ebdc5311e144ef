"""`no-lost-job`: a job whose enqueue committed stays until it is settled for good."""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call, Change
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import last_claims
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, CLAIM, ENQUEUE, FINAL, SETTLEMENTS, Meaning, State, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Precedence, Promise, Rule, Trial
from pgqmodel.promises.reasons import EnqueueAnswered, NeverRun, NoRow, NotGiven, OverFromTheStart, Took, Unsettled

__all__ = ["PROMISE"]

_ENQUEUE = frozenset({ENQUEUE.name})
_FORCED, _LOST, _SETTLED = Meaning.FORCED, Meaning.LOST, Meaning.SETTLED
_THROUGH = frozenset({_SETTLED, Meaning.RECLAIMED, Meaning.RELEASED, Meaning.CANCELLED})


def _lost(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A live job was removed, or it ended and no client had settled it."""
    if not _loses(state, change):
        return None
    live = Unsettled(job=change.job, state=change.before.state if change.before is not None else None)
    yet = Yet(change.seen(state.step))
    return PROMISE.broken(state, change.job, last_claims(state, change.job), live, yet)


def _loses(state: ModelState, change: Change) -> bool:
    if change.meaning is _LOST:
        return True
    if change.meaning is _SETTLED and change.after is None:
        return not state.is_rightful(change)
    if change.meaning is not _FORCED or change.after is None or change.after.state not in FINAL:
        return False
    was_running = change.before is not None and change.before.state is State.RUNNING
    taken_back = was_running and change.after.state is State.FAILED
    return not taken_back and not _settles(state, change)


def _settles(state: ModelState, change: Change) -> bool:
    """Whether a settlement ended a job that its caller had claimed. It may be late, but the job was run and has a row.

    Whether the caller still had the right to settle it is judged by `fenced-settlement`.
    """
    call = change.call
    return call is not None and call.operation in SETTLEMENTS and (call.job == change.job or state.is_rightful(change))


def _stillborn(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A job was final from the start: no claim can ever have it."""
    if not state.adds(change) or change.after is None or change.after.state not in FINAL:
        return None
    return PROMISE.broken(state, change.job, OverFromTheStart(change.seen(state.step)), Yet(NeverRun()))


def _dropped(state: ModelState, call: Call, value: Any) -> Broken | None:
    """An enqueue was accepted, and the job that it answered with is not there."""
    job = call.returned_job
    if call.status is not Status.OK or job is None or state.known(job) is not None:
        return None
    accepted = EnqueueAnswered(client=call.client, begun=call.step, job=job, step=state.step)
    return PROMISE.broken(state, job, accepted, Yet(NoRow(job)))


def _ended_in_vain(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A claim ended a job at once and was answered without it: nobody crashed, and nobody runs it."""
    if not state.at_most_once or call.status not in ANSWERED:
        return None
    for job in call.took:
        claim = state.current.get(job)
        if claim is None or claim.call != call.number or not claim.certain:
            continue
        if job in call.returned_jobs or job in state.running:
            continue
        took = Took(client=call.client, job=job, step=claim.step)
        return PROMISE.broken(state, job, took, Yet(NotGiven(client=call.client, job=job, step=state.step)))
    return None


PROMISE: Promise = Promise(
    name="no-lost-job",
    says="a job whose enqueue committed stays until it is settled for good",
    anomalies=("lost-job",),
    precedence=Precedence.OWNER,
    rules=(
        Rule(Hook.CHANGED, _lost, _THROUGH | {_LOST, _FORCED}),
        Rule(Hook.CHANGED, _stillborn, frozenset({Meaning.CONJURED})),
        Rule(Hook.RETURNED, _dropped, _ENQUEUE),
        Rule(Hook.RETURNED, _ended_in_vain, frozenset({CLAIM.name})),
    ),
    trials=(Trial(Hook.CHANGED, lambda state, change: True, _THROUGH),),
    inferred=True,
)
