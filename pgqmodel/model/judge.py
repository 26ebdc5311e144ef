"""The judge: takes a history event by event, keeps the model's state, and says which promise is broken first.

The order of commits is known, so there is nothing to search: linear time, exact. How each kind of evidence is judged stands
in `changes` (what commits changed), `answers` (what clients were told), `eligible` (what claims chose) and `invariants`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pgqmodel.history import (
    Advanced,
    Blocked,
    Committed,
    Deadlocked,
    Draining,
    Ended,
    Event,
    Invoked,
    Observed,
    Ran,
    Restarted,
    Returned,
)
from pgqmodel.model.answers import blame_deploy, judge_return
from pgqmodel.model.changes import judge_changes
from pgqmodel.model.invariants import judge_drain, judge_observation
from pgqmodel.model.state import Call, ModelState, Snapshot
from pgqmodel.model.verdicts import Broken, Verdicts
from pgqmodel.operations import FINAL, LIVE, SETTLEMENTS

__all__ = ["Judge"]


class Judge:
    """Judges one story. `promises` are the declared ones with their values, `settings` the target's."""

    def __init__(self, *, promises: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self.state = ModelState()
        self._settings = settings
        self._verdicts = Verdicts(promises=promises)

    @property
    def witnessed(self) -> Mapping[str, int]:
        """How often each declared promise was put to the test so far; those that never were are absent."""
        return self._verdicts.witnessed

    def examine(self, event: Event) -> Broken | None:
        """Take in one event; the promise it breaks, if it breaks one that is declared."""
        self.state.step = self._verdicts.step = event.step
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)
        return self._verdicts.first

    def _invoked(self, event: Invoked) -> None:
        state = self.state
        call = Call(
            number=event.call,
            client=event.client,
            operation=event.operation,
            step=event.step,
            job=event.job,
            claim=event.claim,
            environment=state.environment_of(event.job),
            line=event.arguments.get("line"),
            key=event.arguments.get("unique_key"),
        )
        for other in state.calls.values():
            other.overlapped = call.overlapped = True
        state.calls[event.call] = call
        self._witness_invocation(call)

    def _witness_invocation(self, call: Call) -> None:
        state, verdicts = self.state, self._verdicts
        if call.job is not None and call.operation in SETTLEMENTS | {"cancel", "heartbeat"}:
            verdicts.witness("final-states", int(state.seen[call.job].state in FINAL if call.job in state.seen else 0))
        if call.operation == "enqueue" and call.key is not None:
            live = any(row.unique_key == call.key and row.state in LIVE for row in state.jobs.values())
            verdicts.witness("unique-key", int(live))
        if call.operation == "reclaim":
            verdicts.witness("lease", int(bool(state.current)))

    def _ran(self, event: Ran) -> None:
        state, call = self.state, self.state.calls.get(event.call)
        if call is None:
            return
        call.open = event.open
        call.snapshots.append(Snapshot(jobs=dict(state.jobs), now=state.now))
        call.held = call.held or state.is_current(call)
        call.had_lock = call.had_lock or state.has_lock(call)
        for other in state.calls.values():
            if other is not call and (other.open or (call.open and other.snapshots)):
                call.contended = True
                other.contended = other.contended or call.open

    def _blocked(self, event: Blocked) -> None:
        self._verdicts.witness("deadlock-free")
        call = self.state.calls.get(event.call)
        if call is not None:
            call.contended = True

    def _committed(self, event: Committed) -> None:
        call = self.state.calls.get(event.call)
        if call is not None:
            call.open = False
            call.held = call.held or self.state.is_current(call)
            call.had_lock = call.had_lock or self.state.has_lock(call)

    def _observed(self, event: Observed) -> None:
        state, verdicts = self.state, self._verdicts
        state.runs |= {run: word for run, word in event.runs.items() if word is not None}
        state.logs |= event.logs
        for number in event.by if event.environments else ():
            call = state.calls.get(number)
            if call is not None and call.operation == "deploy" and not call.had_lock:
                blame_deploy(state, call, verdicts)
        if event.jobs:
            judge_changes(state, event, verdicts, self._settings)
        judge_observation(state, event, verdicts)
        state.ended.clear()

    def _returned(self, event: Returned) -> None:
        call = self.state.calls.pop(event.call, None)
        if call is not None:
            judge_return(self.state, call, event, self._verdicts, self._settings)

    def _ended(self, event: Ended) -> None:
        state = self.state
        state.disturbed = True
        state.ended.add(event.client)
        for environment, lock in list(state.locks.items()):
            if lock.client == event.client:
                del state.locks[environment]
                state.released.add(environment)
        for call in state.calls.values():
            if call.client == event.client:
                call.open = False

    def _restarted(self, event: Restarted) -> None:
        state = self.state
        state.disturbed = True
        state.ended |= {claim.client for claim in state.current.values()}
        state.released |= set(state.locks)
        state.locks.clear()

    def _advanced(self, event: Advanced) -> None:
        self.state.now = event.now
        self.state.disturbed = self.state.disturbed or bool(event.seconds and self.state.current)

    def _deadlocked(self, event: Deadlocked) -> None:
        self._verdicts.witness("deadlock-free")
        calls = {call.client: call for call in self.state.calls.values()}
        steps = [f"{name} ({calls[name].operation})" if name in calls else name for name in event.cycle]
        self._verdicts.broken(
            "deadlock",
            None,
            f"Each waits for a lock of the next, and the last for the first: {', '.join(steps)}.",
            f"Postgres broke the cycle at step {event.step} by failing {event.victim} with 40P01.",
        )

    def _draining(self, event: Draining) -> None:
        if event.over:
            judge_drain(self.state, event, self._verdicts, self._settings)


_HANDLERS: dict[type[Event], Callable[[Judge, Any], None]] = {
    Invoked: Judge._invoked,
    Ran: Judge._ran,
    Blocked: Judge._blocked,
    Committed: Judge._committed,
    Observed: Judge._observed,
    Returned: Judge._returned,
    Ended: Judge._ended,
    Restarted: Judge._restarted,
    Advanced: Judge._advanced,
    Deadlocked: Judge._deadlocked,
    Draining: Judge._draining,
}
