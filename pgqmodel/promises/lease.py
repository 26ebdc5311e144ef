"""`lease`: a job is not taken from a holder whose last accepted heartbeat is younger than the timeout."""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call, Change
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import seconds, tell_claim
from pgqmodel.operations import RECLAIM, SETTLEMENTS, UNHELD, Meaning, State
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Memory, Promise, Rule, Trial

__all__ = ["PROMISE"]

_RECLAIM = frozenset({RECLAIM.name})
_FORCED, _RECLAIMED, _TAKEN = Meaning.FORCED, Meaning.RECLAIMED, Meaning.TAKEN
_TAKEN_BACK = UNHELD | {State.FAILED}


def _taken(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A holder lost its job while its lease was alive."""
    call, claim = change.call, change.claim
    if call is None or claim is None or not _takes(change) or claim.call == call.number or not claim.certain:
        return None
    age = call.ran_at - claim.beat
    if state.has_lapsed(claim, call.ran_at):
        return None
    beat = (
        f"Its last accepted heartbeat, at step {claim.beat_step}, was {seconds(age)} old"
        if claim.beat_step is not None
        else f"The claim was {seconds(age)} old"
    )
    lease = f"{beat}: the timeout is {seconds(state.timeout_seconds)}."
    return PROMISE.broken(state, change.job, tell_claim(claim), lease, f"Yet {change.told(state.step)}.")


def _takes(change: Change) -> bool:
    """Whether the change takes a running job from its holder, and neither settles nor cancels it."""
    if change.meaning in {_RECLAIMED, _TAKEN}:
        return True
    forced = change.meaning is _FORCED and change.operation not in SETTLEMENTS
    running = change.before is not None and change.before.state is State.RUNNING
    return forced and running and change.after is not None and change.after.state in _TAKEN_BACK


def _met_running(state: ModelState, call: Call, known: Any) -> bool:
    """Whether somebody held a job when a reclaim looked."""
    return bool(state.current)


PROMISE: Promise = Promise(
    name="lease",
    says="a job is not taken from a holder whose last accepted heartbeat is younger than the timeout",
    anomalies=("early-reclaim",),
    operations=(RECLAIM.name,),
    rules=(Rule(Hook.CHANGED, _taken, frozenset({_RECLAIMED, _TAKEN, _FORCED})),),
    trials=(Trial(Hook.RETURNED, lambda state, call: bool(PROMISE.fact(call)), _RECLAIM),),
    memories=(Memory(Hook.MET, _met_running, _RECLAIM),),
)
