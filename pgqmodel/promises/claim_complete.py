"""`claim-complete`: a claim answers "nothing" only if nothing is eligible and unlocked.

In an explored history it is remembered at each statement of a claim what it could have taken, when nobody else had a
transaction open. In a recorded one see `passing_over`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgqmodel.history import Job
from pgqmodel.model.change import Call
from pgqmodel.model.eligible import eligible
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import ALONE, listed
from pgqmodel.operations import ANSWERED, Status
from pgqmodel.promises.passing_over import PassingOver
from pgqmodel.promises.promise import Broken, Hook, Memory, Promise, Rule, Source, Trial, Watch

__all__ = ["PROMISE"]

_CLAIM = frozenset({"claim"})


def _could_take(state: ModelState, call: Call, known: Sequence[Job] | None) -> Sequence[Job]:
    """What a claim's statements so far could have taken; nothing once somebody may have had it locked."""
    if known is not None and not known:
        return known
    busy = any(other.may_lock for other in state.in_flight.values() if other is not call)
    return () if busy else eligible(state, call)


def _waited(state: ModelState, call: Call, known: Any) -> Sequence[Job]:
    """A claim that had to wait saw what was there before it waited."""
    return ()


def _returned(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A claim found nothing although something was there."""
    passed_over = PROMISE.fact(call)
    if call.status is not Status.EMPTY or not passed_over:
        return None
    told = f"{call.client}'s claim could have had {listed(passed_over)}."
    yet = f"Yet it found nothing at step {state.step}."
    return PROMISE.broken(state, passed_over[0].job, told, ALONE, yet)


def _found_nothing(state: ModelState, call: Call) -> bool:
    """A claim was answered that had to look past others."""
    return call.status in ANSWERED and (call.overlapped or not call.took)


PROMISE = Promise(
    name="claim-complete",
    says='a claim answers "nothing" only if nothing is eligible and unlocked',
    anomalies=("false-empty",),
    rules=(Rule(Hook.RETURNED, _returned, _CLAIM),),
    trials=(Trial(Hook.RETURNED, _found_nothing, _CLAIM, frozenset({Source.EXPLORED})),),
    memories=(Memory(Hook.RAN, _could_take, _CLAIM), Memory(Hook.WAITED, _waited, _CLAIM)),
    watch=Watch(PassingOver, lambda watcher, value: watcher.hold_to_completeness(PROMISE)),
)
