"""When a promise was really put to the test: one row a promise, saying in which situation it could have been broken.

A story that never comes there proves nothing about the promise.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from pgqmodel.model.change import Call, Change
from pgqmodel.model.eligible import can_judge, eligible, saturated
from pgqmodel.model.holds import HoldState
from pgqmodel.model.rule import Hook
from pgqmodel.model.state import ModelState
from pgqmodel.operations import SETTLEMENTS, Meaning, Status

__all__ = ["WITNESSES"]

_OK = Status.OK
_CLAIMED, _TAKEN = Meaning.CLAIMED, Meaning.TAKEN
_FREE, _HELD = HoldState.FREE, HoldState.HELD

_LOOKED_AT_MAX = 16
_CLAIMS = frozenset({_CLAIMED, _TAKEN})
_ENDING = SETTLEMENTS | {"cancel", "reclaim"}
_ANSWERED = frozenset({Status.OK, Status.REFUSED, Status.EMPTY})
_THROUGH = frozenset({Meaning.SETTLED, Meaning.RECLAIMED, Meaning.RELEASED, Meaning.CANCELLED})


def _claimed(call: Call) -> bool:
    return call.operation == "claim" and call.status in _ANSWERED


def _beside_another(state: ModelState, call: Call) -> bool:
    """A claim while somebody else claimed or held a job."""
    return _claimed(call) and (call.overlapped or any(claim.client != call.client for claim in state.current.values()))


def _late(operations: frozenset[str]) -> Callable[[ModelState, Call], bool]:
    """A call that rests on a claim which was over."""
    return lambda state, call: call.operation in operations and call.status in _ANSWERED and not call.current_at_commit


def _met_final(state: ModelState, call: Call) -> bool:
    return call.met_final and call.status in _ANSWERED and call.operation in _ENDING


def _could_choose(state: ModelState, change: Change) -> bool:
    call = change.call
    if change.meaning is not _CLAIMED or call is None or not can_judge(state, call):
        return False
    return len(state.pending) > 1 and len(eligible(state, call, taken=change.before)) > 1


def _found_nothing(state: ModelState, call: Call) -> bool:
    """A claim that had to look past others; in a recorded history `recorded` counts those that it can judge."""
    return state.recorded is None and _claimed(call) and (call.overlapped or not call.took)


def _stage_was_closed(state: ModelState, call: Call) -> bool:
    if not _claimed(call):
        return False
    return state.gated > 0 or any(state.is_gated(job) for job in islice(state.needy.values(), _LOOKED_AT_MAX))


def _lock_was_held(state: ModelState, call: Call) -> bool:
    hold = state.hold_of(call)
    asked = call.operation == "lock" and call.status in _ANSWERED
    return asked and hold is not None and hold.state is _HELD and hold.client != call.client


def _lock_was_free_again(state: ModelState, call: Call) -> bool:
    hold = state.hold_of(call)
    if call.operation != "lock" or call.status not in _ANSWERED or hold is None:
        return False
    if state.recorded is not None:
        return call.quiet
    return hold.state is _FREE and call.met_free and not call.overlapped and call.current_at_commit


def _deployed_without(state: ModelState, call: Call) -> bool:
    return (
        call.operation == "deploy" and call.status in _ANSWERED and not (call.could_deploy and call.current_at_commit)
    )


def _had_key(state: ModelState, call: Call) -> bool:
    return call.operation == "enqueue" and call.met_key


def _logged(state: ModelState, call: Call) -> bool:
    if call.operation != "log" or call.status is not _OK:
        return False
    return state.recorded is None or (state.recorded.shows_logs and call.committed_step is not None)


def _shows_run(state: ModelState, change: Change) -> bool:
    """A job of a run changed, and the history shows that run's status."""
    run = change.after.run if change.after is not None else None
    return run is not None and (state.recorded is None or run in state.runs)


WITNESSES: dict[str, tuple[Hook, Callable[[ModelState, Any], bool]]] = {
    "exclusive-claim": (Hook.RETURNED, _beside_another),
    "fenced-settlement": (Hook.RETURNED, _late(SETTLEMENTS)),
    "fenced-heartbeat": (Hook.RETURNED, _late(frozenset({"heartbeat"}))),
    "no-lost-job": (Hook.CHANGED, lambda state, change: change.meaning in _THROUGH),
    "no-phantom-job": (Hook.RETURNED, lambda state, call: _claimed(call) and call.returned_job is not None),
    "final-states": (Hook.RETURNED, _met_final),
    "claim-order": (Hook.CHANGED, _could_choose),
    "claim-complete": (Hook.RETURNED, _found_nothing),
    "stage-order": (Hook.RETURNED, _stage_was_closed),
    "one-deploy": (Hook.RETURNED, _lock_was_held),
    "fenced-deploy": (Hook.RETURNED, _deployed_without),
    "lock-release": (Hook.RETURNED, _lock_was_free_again),
    "lease": (Hook.RETURNED, lambda state, call: call.operation == "reclaim" and call.met_running),
    "recovery": (Hook.DRAINED, lambda state, event: state.unfinished > 0),
    "attempts": (
        Hook.CHANGED,
        lambda state, change: change.meaning in _CLAIMS and change.job in state.claims,
    ),
    "unique-key": (Hook.RETURNED, _had_key),
    "live-limit": (Hook.RETURNED, lambda state, call: _claimed(call) and bool(saturated(state))),
    "log-complete": (Hook.RETURNED, _logged),
    "run-status": (Hook.CHANGED, _shows_run),
    "deadlock-free": (Hook.BLOCKED, lambda state, event: bool(event.by)),
    "poison-isolated": (Hook.DRAINED, lambda state, event: event.poison is not None and state.unfinished > 1),
}
"""Promises that are absent are put to the test by simulations only."""
