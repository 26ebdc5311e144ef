"""`final-states`: completed, failed and cancelled are final: no later step leaves them."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Job
from pgqmodel.model.change import Call, Change
from pgqmodel.model.facts import Fact, GivenJob, Yet
from pgqmodel.model.gathering import last_claims
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, CLAIM, FINAL, LIVE, OPERATIONS, Meaning, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.outline import Outline
from pgqmodel.promises.promise import Hook, Memory, Precedence, Promise, Rule, Trial
from pgqmodel.promises.reasons import WasFinal

__all__ = ["PROMISE"]

_ENDING = OPERATIONS.those(lambda operation: any(move.after in FINAL for move in operation.moves))
_CLAIM = frozenset({CLAIM.name})
_REVIVED, _CONJURED = Meaning.REVIVED, Meaning.CONJURED


def _resurrected(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A job left a final state, or came back after its row was removed."""
    former = change.before or state.gone.get(change.job)
    returned = change.meaning is _CONJURED and change.job in state.gone
    if former is None or former.state not in FINAL or not (change.meaning is _REVIVED or returned):
        return None
    return _rose(state, former, change.seen(state.step))


def _handed_out(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A claim was answered with a job that was over."""
    if call.status is not Status.OK:
        return None
    for job in call.returned_jobs:
        former = state.known(job) if job not in call.took else None
        if former is not None and former.state in FINAL:
            return _rose(state, former, GivenJob(client=call.client, job=job, step=state.step))
    return None


def _rose(state: ModelState, former: Job, back: Fact) -> Broken:
    over = WasFinal(job=former.job, state=former.state)
    return PROMISE.broken(state, former.job, last_claims(state, former.job), over, Yet(back))


def _met_final(state: ModelState, call: Call, known: Any) -> bool:
    """Whether the job that a call is about was final when it looked; for one about no job, whether any job was."""
    return state.is_final(call.job) if call.job is not None else state.finals > 0


def _was_tried(state: ModelState, call: Call) -> bool:
    """A call that ends jobs was answered, and a final job was there when it looked."""
    return bool(PROMISE.fact(call)) and call.status in ANSWERED


def _keeps_ends(outline: Outline) -> bool:
    """Whether no operation of the target's own is there to take jobs out of a final state, as one that revives them."""
    moves = (move for operation in outline.operations.values() for move in operation.moves)
    return not any(move.before in FINAL and move.after in LIVE for move in moves)


PROMISE: Promise = Promise(
    name="final-states",
    says="completed, failed and cancelled are final: no later step leaves them",
    anomalies=("resurrection",),
    precedence=Precedence.LIFE,
    rules=(
        Rule(Hook.CHANGED, _resurrected, frozenset({_REVIVED, _CONJURED})),
        Rule(Hook.RETURNED, _handed_out, _CLAIM),
    ),
    trials=(Trial(Hook.RETURNED, _was_tried, _ENDING),),
    memories=(Memory(Hook.MET, _met_final, _ENDING),),
    allowed=_keeps_ends,
    inferred=True,
)
