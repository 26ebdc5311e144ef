"""The culprit of a finding: the operations of the calls that the rule judged, and the claim that the call rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import evolve

from pgqmodel.history import Deadlocked, Observed
from pgqmodel.model.change import Call, Change
from pgqmodel.model.state import ModelState
from pgqmodel.promises import Broken

__all__ = ["blamed"]


def blamed(state: ModelState, subject: Any, found: Broken) -> Broken:
    """The finding with its culprit. It has none if no call broke the promise, as when a drain leaves a job stuck."""
    of = _CALLS.get(type(subject))
    calls = [*of(state, subject)] if of is not None else []
    operations = tuple(sorted({call.operation for call in calls}))
    return evolve(found, operations=operations, claim=calls[0].claim if len(calls) == 1 else None)


def _in_cycle(state: ModelState, event: Deadlocked) -> Iterable[Call]:
    return (call for call in state.in_flight.values() if call.client in event.cycle)


_CALLS: dict[type, Callable[[ModelState, Any], Iterable[Call]]] = {
    Call: lambda state, call: (call,),
    Change: lambda state, change: (change.call,) if change.call is not None else (),
    Observed: lambda state, event: (state.calls[number] for number in event.by if number in state.calls),
    Deadlocked: _in_cycle,
}
"""For each kind of subject that rules judge, the calls that may have broken the promise."""
