"""`one-deploy`: at every instant at most one session holds an environment's deploy lock.

In a recorded history a session may end, and free its lock, some time before the history shows it. So a lock counts as
granted twice there only when a later deploy or unlock of its first holder is accepted: it had held it all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import evolve

from pgqmodel.model.change import Call
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import answered, granted
from pgqmodel.model.holds import Hold, HoldState
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, DEPLOY, LOCK, UNLOCK, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Promise, Rule, Source, Trial, Watch
from pgqmodel.promises.waiting_reasons import GrantedBeside, HeldUntil
from pgqmodel.promises.watcher import Watcher

__all__ = ["PROMISE"]

_LOCK = frozenset({LOCK.name})
_OF_HOLDERS = frozenset({UNLOCK.name, DEPLOY.name})


def _overlap(state: ModelState, call: Call) -> tuple[Hold, Broken] | None:
    """A lock was granted while another client held it, as far as was seen."""
    hold = state.hold_of(call)
    if call.status is not Status.OK or hold is None:
        return None
    if hold.state is not HoldState.HELD or hold.client == call.client:
        return None
    if hold.since == state.instant:
        return None  # both were answered at one instant: which grant was the first is not known
    first, second = granted(hold, hold.environment), Yet(GrantedBeside(answered(call)))
    return hold, PROMISE.broken(state, call.job, first, second)


def _granted(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A lock was granted while another client held it, and was not letting go of it."""
    overlap = _overlap(state, call)
    if overlap is None:
        return None
    hold, found = overlap
    letting_go = any(other.ran for other in state.in_flight.of_client(hold.client))
    return None if letting_go else found


def _suspected(state: ModelState, call: Call, value: Any) -> Broken | None:
    """The same in a recorded history, where the first holder has yet to show that it held it all the time."""
    overlap = _overlap(state, call)
    if overlap is not None and state.is_current(call):
        state.watchers[_Doubts].suspect(state, *overlap)
    return None


class _Doubts(Watcher):
    """Locks that were granted twice, while the first holder's session may have ended unseen before that."""

    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__(count)
        self._doubts: dict[str, list[tuple[str, int, Broken]]] = {}
        """By the first holder: the environment, the instant of the second grant, and the violation that it may be."""

    def suspect(self, state: ModelState, hold: Hold, found: Broken) -> None:
        """A lock was granted that another client held, as far as is known."""
        self._doubts.setdefault(hold.client, []).append((hold.environment, state.instant, found))

    def returned(self, state: ModelState, call: Call) -> Iterator[Broken]:
        """An accepted unlock or deploy shows that its client held the lock all the time before it began."""
        if call.operation not in _OF_HOLDERS or call.status is not Status.OK:
            return
        environment = state.environment(call)
        for doubt in self._doubts.pop(call.client, ()):
            where, instant, found = doubt
            if where != environment:
                self._doubts.setdefault(call.client, []).append(doubt)
            elif call.instant > instant:
                yield evolve(found, facts=(*found.facts, HeldUntil(answered(call))))

    def doubted(self, state: ModelState, client: str) -> None:
        """A client whose session may have ended can show nothing about the time before."""
        self._doubts.pop(client, None)

    def restarted(self, state: ModelState) -> None:
        """With the server every session ended."""
        self._doubts.clear()


def _was_held(state: ModelState, call: Call) -> bool:
    """A call asked for a lock that another client held, and was answered."""
    hold = state.hold_of(call)
    held = hold is not None and hold.state is HoldState.HELD and hold.client != call.client
    return held and call.status in ANSWERED


PROMISE: Promise = Promise(
    name="one-deploy",
    says="at every instant at most one session holds an environment's deploy lock",
    anomalies=("lock-overlap",),
    operations=(LOCK.name,),
    rules=(
        Rule(Hook.RETURNED, _granted, _LOCK, frozenset({Source.EXPLORED})),
        Rule(Hook.RETURNED, _suspected, _LOCK, frozenset({Source.RECORDED})),
    ),
    trials=(Trial(Hook.RETURNED, _was_held, _LOCK),),
    watches=(Watch(_Doubts, frozenset({Source.RECORDED})),),
)
