"""`deadlock-free`: no two operations of the queue deadlock each other."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Deadlocked
from pgqmodel.model.change import Call
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import ModelState

__all__ = ["RULES"]

_DEADLOCK_DETECTED = "40P01"


def _deadlocked(state: ModelState, event: Deadlocked, value: Any) -> Broken | None:
    """The world saw a cycle of waits."""
    calls = {call.client: call for call in state.in_flight.values()}
    members = [f"{name} ({_doing(calls.get(name))})" for name in event.cycle]
    told = f"{', '.join(members)} wait for each other: each holds what the next one needs."
    victim = f"{event.victim}'s transaction was rolled back at step {event.step} to end it."
    return broken(state, "deadlock", None, told, victim)


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
    return broken(state, "deadlock", call.job, told)


RULES = (Rule("deadlock-free", Hook.DEADLOCKED, _deadlocked), Rule("deadlock-free", Hook.RETURNED, _returned))
