"""`deadlock-free`: no two operations of the queue deadlock each other."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Deadlocked
from pgqmodel.model.change import Call
from pgqmodel.model.state import ModelState
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Promise, Rule, Trial
from pgqmodel.promises.waiting_reasons import CycleOfWaits, DeadlockFound, Doing, RolledBack

__all__ = ["PROMISE"]

_DEADLOCK_DETECTED = "40P01"


def _deadlocked(state: ModelState, event: Deadlocked, value: Any) -> Broken | None:
    """The world saw a cycle of waits."""
    calls = {call.client: call for call in state.in_flight.values()}
    members = tuple(_doing(calls[name]) if name in calls else Doing(client=name) for name in event.cycle)
    return PROMISE.broken(state, None, CycleOfWaits(members), RolledBack(client=event.victim, step=event.step))


def _doing(call: Call) -> Doing:
    return Doing(client=call.client, operation=call.operation, job=call.job, begun=call.step)


def _returned(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A call failed with the server's word for a deadlock."""
    if call.error != _DEADLOCK_DETECTED:
        return None
    return PROMISE.broken(state, call.job, DeadlockFound(call=_doing(call), step=state.step, code=call.error))


PROMISE: Promise = Promise(
    name="deadlock-free",
    says="no two operations of the queue deadlock each other",
    anomalies=("deadlock",),
    rules=(Rule(Hook.DEADLOCKED, _deadlocked), Rule(Hook.RETURNED, _returned)),
    trials=(Trial(Hook.BLOCKED, lambda state, event: bool(event.by)),),
)
