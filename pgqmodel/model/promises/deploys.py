"""`one-deploy`, `fenced-deploy`, `lock-release`: who holds a deploy lock, and what only the holder may do."""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call
from pgqmodel.model.holds import Hold, HoldState
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import tell_call, tell_former, tell_hold
from pgqmodel.operations import Status

__all__ = ["RULES"]

_OK = Status.OK
_FREE, _HELD = HoldState.FREE, HoldState.HELD

_NO = frozenset({Status.REFUSED, Status.EMPTY})


def _granted(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A lock was granted while another client held it."""
    hold = state.hold_of(call)
    if call.operation != "lock" or call.status is not _OK or hold is None:
        return None
    if hold.state is not _HELD or hold.client == call.client or _is_letting_go(state, hold):
        return None
    if hold.since == state.instant:
        return None  # both were answered at one instant: nobody knows which grant was the first
    yet = f"Yet {tell_call(call, verb='was granted')}, for the same environment."
    found = broken(state, "lock-overlap", call.job, tell_hold(hold), yet)
    if state.recorded is None:
        return found
    if state.is_current(call):
        state.recorded.suspect(state, hold, found)
    return None


def _is_letting_go(state: ModelState, hold: Hold) -> bool:
    """Whether an unlock or a settlement of the holder has run and its answer is not known yet."""
    return state.recorded is None and any(call.ran for call in state.in_flight.of_client(hold.client))


def _deployed(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A deploy was accepted from a client that did not hold the lock when it committed."""
    if call.operation != "deploy" or call.status is not _OK or call.committed_step is None or call.could_deploy:
        return None
    hold = state.hold_of(call)
    environment = state.environment(call)
    if environment is None:
        return None
    holder = tell_hold(hold) if hold is not None else f"Nobody was ever granted the lock of {environment}."
    yet = f"Yet {tell_call(call, verb='was accepted')}."
    return broken(state, "stale-deploy", call.job, tell_former(state, call), holder, yet)


def _refused(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A lock was refused though nobody could hold it."""
    if call.operation != "lock" or call.status not in _NO or not _was_free(state, call):
        return None
    environment = state.environment(call)
    hold = state.hold_of(call)
    if environment is None or (hold is not None and (hold.state is not _FREE or hold.client == call.client)):
        return None
    holder = tell_hold(hold) if hold is not None else f"Nobody was ever granted the lock of {environment}."
    yet = f"Yet {tell_call(call, verb='was refused')}, with no other call in flight."
    found = broken(state, "lock-leak", call.job, holder, yet)
    if state.recorded is None:
        return found
    state.recorded.suspect_leak(state, call, found)
    return None


def _was_free(state: ModelState, call: Call) -> bool:
    """Whether nobody could hold the lock that a call asked for, and it had a right to it."""
    if state.recorded is not None:
        return state.recorded.has_leaked(state, call)
    return call.met_free and not call.overlapped and call.current_at_commit


RULES = (
    Rule("one-deploy", Hook.RETURNED, _granted),
    Rule("fenced-deploy", Hook.RETURNED, _deployed),
    Rule("lock-release", Hook.RETURNED, _refused),
)
