"""`lock-release`: a deploy lock is free again once its job is settled or its holder's session has ended.

A refused lock shows a leak only if nobody could hold it: in an explored history if it was free when the call looked and
no other call was in flight; in a recorded one if nothing about its environment was going on while it was asked for.
"""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call
from pgqmodel.model.state import HoldState, ModelState
from pgqmodel.model.telling import tell_call, tell_grant
from pgqmodel.operations import ANSWERED, Status
from pgqmodel.promises.promise import Broken, Hook, Memory, Promise, Rule, Source, Trial

__all__ = ["PROMISE"]

_LOCK = frozenset({"lock"})
_NO = frozenset({Status.REFUSED, Status.EMPTY})
_FREE = HoldState.FREE
_EXPLORED, _RECORDED = frozenset({Source.EXPLORED}), frozenset({Source.RECORDED})


def _refused(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A lock was refused though nobody could hold it."""
    if call.status not in _NO or not PROMISE.fact(call) or call.overlapped or not call.current_at_commit:
        return None
    return _leak(state, call)


def _refused_in_record(state: ModelState, call: Call, value: Any) -> Broken | None:
    """The same in a recorded history: it was free and nobody else was about it, from before the call until after."""
    environment = f"environment {state.environment(call)}"
    if call.status not in _NO or not PROMISE.fact(call) or not state.interests.is_alone(environment, call.step):
        return None
    return _leak(state, call) if state.is_current(call) and _was_let_go(state, call) else None


def _leak(state: ModelState, call: Call) -> Broken | None:
    environment, hold = state.environment(call), state.hold_of(call)
    if environment is None or (hold is not None and (hold.state is not _FREE or hold.client == call.client)):
        return None
    yet = f"Yet {tell_call(call, verb='was refused')}, with no other call in flight."
    return PROMISE.broken(state, call.job, tell_grant(hold, environment), yet)


def _met_free(state: ModelState, call: Call, known: Any) -> bool:
    """Whether nobody held the lock when the call looked."""
    hold = state.hold_of(call)
    return hold is None or hold.state is _FREE


def _met_quiet(state: ModelState, call: Call, known: Any) -> bool:
    """Whether nobody held the lock when the call began, and nobody else was about it."""
    environment = state.environment(call)
    quiet = environment is not None and state.interests.is_quiet(f"environment {environment}")
    return quiet and _was_let_go(state, call)


def _was_let_go(state: ModelState, call: Call) -> bool:
    hold = state.hold_of(call)
    return hold is None or (hold.state is _FREE and hold.released)


def _was_free_again(state: ModelState, call: Call) -> bool:
    """A lock was asked for and answered that had been held and was free."""
    hold = state.hold_of(call)
    if hold is None or hold.state is not _FREE or call.status not in ANSWERED:
        return False
    return bool(PROMISE.fact(call)) and not call.overlapped and call.current_at_commit


def _was_quiet(state: ModelState, call: Call) -> bool:
    """The same in a recorded history."""
    return call.status in ANSWERED and state.hold_of(call) is not None and bool(PROMISE.fact(call))


PROMISE = Promise(
    name="lock-release",
    says="a deploy lock is free again once its job is settled or its holder's session has ended",
    anomalies=("lock-leak",),
    operations=("lock",),
    rules=(
        Rule(Hook.RETURNED, _refused, _LOCK, _EXPLORED),
        Rule(Hook.RETURNED, _refused_in_record, _LOCK, _RECORDED),
    ),
    trials=(
        Trial(Hook.RETURNED, _was_free_again, _LOCK, _EXPLORED),
        Trial(Hook.RETURNED, _was_quiet, _LOCK, _RECORDED),
    ),
    memories=(
        Memory(Hook.MET, _met_free, _LOCK, _EXPLORED),
        Memory(Hook.MET, _met_quiet, _LOCK, _RECORDED),
    ),
    options=lambda value: {"session_frees_locks": True},
)
