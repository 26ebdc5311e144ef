"""`lock-release`: a deploy lock is free again once its job is settled or its holder's session has ended.

A refused lock shows a leak only if no client could hold it. That is so in an explored history if the lock was free
when the call looked and no other call was in flight; in a recorded one, if no other call was about its environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pgqmodel.model.change import Call
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import answered, granted
from pgqmodel.model.holds import HoldState
from pgqmodel.model.interests import of_environment
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, LOCK, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Memory, Promise, Rule, Source, Trial, Watch
from pgqmodel.promises.waiting_reasons import RefusedAlone
from pgqmodel.promises.watcher import Watcher

__all__ = ["PROMISE"]

_LOCK = frozenset({LOCK.name})
_NO = frozenset({Status.REFUSED, Status.EMPTY})
_FREE = HoldState.FREE
_EXPLORED, _RECORDED = frozenset({Source.EXPLORED}), frozenset({Source.RECORDED})


def _refused(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A lock was refused, although no client could hold it."""
    if call.status not in _NO or not PROMISE.fact(call) or call.overlapped or not call.current_at_commit:
        return None
    return _leak(state, call)


def _refused_in_record(state: ModelState, call: Call, value: Any) -> None:
    """The same in a recorded history: it was free and no other call was about it, from before the call until now."""
    subject = of_environment(state.environment(call))
    if call.status not in _NO or not PROMISE.fact(call) or not state.interests.is_last(subject, call.step, 1):
        return
    found = _leak(state, call) if state.is_current(call) and _was_let_go(state, call) else None
    if found is not None:
        state.watchers[_Leaks].suspect(state, call, found)


class _Leaks(Watcher):
    """Locks that seem to have leaked, until the instant is over: another call for one, or a reclaim, excuses it."""

    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__(count)
        self._leaks: list[tuple[Call, int, Broken]] = []

    def suspect(self, state: ModelState, call: Call, found: Broken) -> None:
        """A lock was refused although it was free, as far as is known by now."""
        self._leaks.append((call, state.step, found))

    def instant_over(self, state: ModelState) -> Iterator[Broken]:
        """Nothing else happened to the lock at the same instant: it has leaked."""
        for call, step, found in self._leaks:
            alone = state.interests.is_last(of_environment(state.environment(call)), step, 0)
            if alone and state.is_current(call) and _was_let_go(state, call):
                yield found
        self._leaks.clear()


def _leak(state: ModelState, call: Call) -> Broken | None:
    environment, hold = state.environment(call), state.hold_of(call)
    if environment is None or (hold is not None and (hold.state is not _FREE or hold.client == call.client)):
        return None
    return PROMISE.broken(state, call.job, granted(hold, environment), Yet(RefusedAlone(answered(call))))


def _met_free(state: ModelState, call: Call, known: Any) -> bool:
    """Whether the lock was free when the call looked."""
    hold = state.hold_of(call)
    return hold is None or hold.state is _FREE


def _met_quiet(state: ModelState, call: Call, known: Any) -> bool:
    """Whether the lock was free when the call began, and no other call was about its environment."""
    environment = state.environment(call)
    quiet = environment is not None and state.interests.is_quiet((of_environment(environment),), call.instant)
    return quiet and _was_let_go(state, call)


def _was_let_go(state: ModelState, call: Call) -> bool:
    hold = state.hold_of(call)
    return hold is None or (hold.state is _FREE and hold.released and not hold.rivals)


def _was_free_again(state: ModelState, call: Call) -> bool:
    """A call asked for a lock that had been held and was free again, and was answered."""
    hold = state.hold_of(call)
    if hold is None or hold.state is not _FREE or call.status not in ANSWERED:
        return False
    return bool(PROMISE.fact(call)) and not call.overlapped and call.current_at_commit


def _was_quiet(state: ModelState, call: Call) -> bool:
    """The same in a recorded history."""
    return call.status in ANSWERED and state.hold_of(call) is not None and bool(PROMISE.fact(call))


PROMISE: Promise = Promise(
    name="lock-release",
    says="a deploy lock is free again once its job is settled or its holder's session has ended",
    anomalies=("lock-leak",),
    operations=(LOCK.name,),
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
    watches=(Watch(_Leaks, _RECORDED),),
    options=lambda value: {"session_frees_locks": True},
)
