"""`deadlock-free`: no two operations of the queue deadlock each other."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Deadlocked
from pgqmodel.model.change import Call
from pgqmodel.model.state import ModelState
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Promise, Rule, Trial

__all__ = ["PROMISE"]

_DEADLOCK_DETECTED = "40P01"


def _deadlocked(state: ModelState, event: Deadlocked, value: Any) -> Broken | None:
    """The world saw a cycle of waits."""
    calls = {call.client: call for call in state.in_flight.values()}
    members = [f"{name} ({_doing(calls.get(name))})" for name in event.cycle]
    told = f"{', '.join(members)} wait for each other: each holds what the next one needs."
    victim = f"{event.victim}'s transaction was rolled back at step {event.step} to end it."
    return PROMISE.broken(state, None, told, victim)


def _doing(call: Call | None) -> str:
    if call is None:
        return "idle"
    about = f" of {call.job}" if call.job is not None else ""
    return f"{call.operation}{about}, begun at step {call.step}"


def _returned(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A call failed with the server's word for a deadlock."""
    if call.error != _DEADLOCK_DETECTED:
        return None
    told = f"{call.client}'s {_doing(call)}, failed at step {state.step}: the server found a deadlock (40P01)."
    return PROMISE.broken(state, call.job, told)


PROMISE: Promise = Promise(
    name="deadlock-free",
    says="no two operations of the queue deadlock each other",
    anomalies=("deadlock",),
    rules=(Rule(Hook.DEADLOCKED, _deadlocked), Rule(Hook.RETURNED, _returned)),
    trials=(Trial(Hook.BLOCKED, lambda state, event: bool(event.by)),),
)
