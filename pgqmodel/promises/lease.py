"""`lease`: a job is not taken from a holder whose last accepted heartbeat is younger than the timeout."""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call, Change
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import claimed, lease_left
from pgqmodel.model.state import ModelState
from pgqmodel.operations import RECLAIM, SETTLEMENTS, UNHELD, Meaning, State
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Memory, Promise, Rule, Trial

__all__ = ["PROMISE"]

_RECLAIM = frozenset({RECLAIM.name})
_FORCED, _LAPSED, _RECLAIMED, _TAKEN = Meaning.FORCED, Meaning.LAPSED, Meaning.RECLAIMED, Meaning.TAKEN
_BY_ITSELF = frozenset({_LAPSED, _TAKEN})
"""How a job is taken back where nothing reclaims: the clock shows it as free, or a claim takes it from its holder."""
_TAKEN_BACK = UNHELD | {State.FAILED}


def _taken(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A holder lost its job while its lease was alive."""
    call, claim = change.call, change.claim
    if claim is None or not claim.certain or not _takes(change) or (call is not None and claim.call == call.number):
        return None
    at = call.ran_at if call is not None else state.now
    if state.has_lapsed(claim, at):
        return None
    lease, yet = lease_left(state, claim, at), Yet(change.seen(state.step))
    return PROMISE.broken(state, change.job, claimed(claim), lease, yet)


def _takes(change: Change) -> bool:
    """Whether the change takes a running job from its holder, and neither settles nor cancels it."""
    if change.meaning in {_RECLAIMED, _TAKEN} or (change.meaning is _LAPSED and change.call is None):
        return True
    forced = change.meaning is _FORCED and change.operation not in SETTLEMENTS
    running = change.before is not None and change.before.state is State.RUNNING
    return forced and running and change.after is not None and change.after.state in _TAKEN_BACK


def _met_running(state: ModelState, call: Call, known: Any) -> bool:
    """Whether any client held a job when a reclaim looked."""
    return bool(state.current)


PROMISE: Promise = Promise(
    name="lease",
    says="a job is not taken from a holder whose last accepted heartbeat is younger than the timeout",
    anomalies=("early-reclaim",),
    rules=(Rule(Hook.CHANGED, _taken, frozenset({_RECLAIMED, _TAKEN, _LAPSED, _FORCED})),),
    trials=(
        Trial(Hook.RETURNED, lambda state, call: bool(PROMISE.fact(call)), _RECLAIM),
        Trial(Hook.CHANGED, lambda state, change: change.claim is not None, _BY_ITSELF),
    ),
    memories=(Memory(Hook.MET, _met_running, _RECLAIM),),
    unasked=lambda outline: outline.says_lease,
    inferred=True,
)
