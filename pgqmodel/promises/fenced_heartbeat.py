"""`fenced-heartbeat`: a heartbeat extends only the current claim."""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call, Change
from pgqmodel.model.facts import Fact, Yet
from pgqmodel.model.gathering import answered, former_claims
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, HEARTBEAT, Meaning, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Precedence, Promise, Rule, Trial

__all__ = ["PROMISE"]

_HEARTBEAT = frozenset({HEARTBEAT.name})


def _accepted(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A heartbeat was accepted and its claim was not current."""
    if call.status is not Status.OK or call.committed_step is None or call.current_at_commit:
        return None
    return _zombie(state, call, answered(call))


def _revived(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A former holder's heartbeat changed its job's state."""
    call = change.call
    if call is None or call.operation not in _HEARTBEAT or state.is_current(call):
        return None
    return _zombie(state, call, change.seen(state.step))


def _zombie(state: ModelState, call: Call, late: Fact) -> Broken:
    return PROMISE.broken(state, call.job, former_claims(state, call), Yet(late))


def _was_late(state: ModelState, call: Call) -> bool:
    """A heartbeat was answered whose claim was over."""
    return call.status in ANSWERED and not call.current_at_commit


PROMISE: Promise = Promise(
    name="fenced-heartbeat",
    says="a heartbeat extends only the current claim",
    anomalies=("zombie-heartbeat",),
    precedence=Precedence.OWNER,
    operations=(HEARTBEAT.name,),
    rules=(
        Rule(Hook.CHANGED, _revived, frozenset({Meaning.FORCED})),
        Rule(Hook.RETURNED, _accepted, _HEARTBEAT),
    ),
    trials=(Trial(Hook.RETURNED, _was_late, _HEARTBEAT),),
    inferred=True,
    needs_ends=True,
)
