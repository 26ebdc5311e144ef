"""The judge: it takes the events of a history one by one, keeps the model's state, and finds broken promises.

It only coordinates, and names no promise. `model.step` finds the meaning of a difference, `promises` have the rules and
trials, and `exploring` and `recording` know the snapshots and times of calls. The judge adopts every observation, also
a wrong one, because a promise that is not declared may be broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pgqmodel.catalogue import Catalogue
from pgqmodel.history import (
    Advanced,
    Blocked,
    Committed,
    Connected,
    Deadlocked,
    Draining,
    Ended,
    Event,
    Executed,
    Invoked,
    Judged,
    Observed,
    Ran,
    Restarted,
    Returned,
    Working,
)
from pgqmodel.judge.desk import Desk
from pgqmodel.judge.exploring import Exploring
from pgqmodel.judge.recording import Recording
from pgqmodel.model.adopt import adopt, adopt_rest
from pgqmodel.model.answers import commit, make_certain
from pgqmodel.model.change import Body, Call, CommitSeen
from pgqmodel.model.claims import end_session
from pgqmodel.model.instants import Instants
from pgqmodel.model.runs import AS_THE_JOBS, Shows
from pgqmodel.model.state import TIMEOUT_SECONDS, ModelState
from pgqmodel.model.step import changes
from pgqmodel.operations import CLAIM, CLAIMS, OPERATIONS, Delivery, Lease, Operation
from pgqmodel.promises import PROMISES, Broken, Source

__all__ = ["Judge"]

_SIDES: dict[Source, type[Exploring | Recording]] = {side.source: side for side in (Exploring, Recording)}


class Judge:
    """Judges one story against the promises that a target declares; the caller says where its history comes from.

    `quiet` are promises that it does not declare: judged as well, they are no findings, and change nothing.
    """

    def __init__(
        self,
        *,
        promises: Mapping[str, Any],
        settings: Mapping[str, Any],
        moments: Iterable[str] = (),
        leases: tuple[Lease, ...] = (Lease.HEARTBEAT,),
        kinds: Catalogue[Operation] = OPERATIONS,
        shows: Shows = AS_THE_JOBS,
        source: Source = Source.EXPLORED,
        quiet: Iterable[str] = (),
    ) -> None:
        values = {name: promise.value.read(promises[name]) for name, promise in PROMISES.items() if promises.get(name)}
        timeout = settings.get("heartbeat_timeout_seconds")
        options = {field: value for name in values for field, value in PROMISES[name].options(values[name]).items()}
        self.state = ModelState(
            kinds=kinds,
            shows=shows,
            timeout_seconds=float(timeout if timeout is not None else TIMEOUT_SECONDS),
            timeout_declared=timeout is not None,
            attempts_max=settings.get("max_attempts"),
            at_most_once=settings.get("delivery") == Delivery.AT_MOST_ONCE,
            leases=leases,
            moments=frozenset(moments),
            **options,
        )
        side = _SIDES[source]
        self._desk = Desk(self.state, values, source, many=side.many, quiet=tuple(quiet))
        self._side = side(self._desk)
        self._questions = self._desk.questions
        self._instants = Instants()

    @property
    def exercised(self) -> Mapping[str, int]:
        """For each declared promise, the number of times it was put to the test."""
        return self._desk.exercised

    @property
    def undeclared(self) -> Mapping[str, Broken | None]:
        """How each of the promises that are judged quietly was broken first in this story; None if it was not."""
        return self._desk.undeclared

    def examine(self, event: Event) -> Broken | None:
        """Take in the next event. Return the first declared promise that it breaks, or None."""
        found = self.findings(event)
        return found[0] if found else None

    def findings(self, event: Event) -> Sequence[Broken]:
        """Take in the next event. Return all broken promises. The judge goes on from the observed state."""
        state, desk = self.state, self._desk
        if desk.found:
            desk.found = []
        if self._instants.has_moved(event):
            self._side.instant_over()
            state.instant, state.version_before = self._instants.number, state.version
        state.step = event.step
        if event.at is not None:
            state.pass_time(event.at)
        _EXAMINE[type(event)](self, event)
        return desk.found

    def finish(self) -> Sequence[Broken]:
        """The history is over: return the broken promises that no later event can excuse any more."""
        self._desk.found = []
        self._side.instant_over()
        return self._desk.found

    # -- one method an event ---------------------------------------------------------------------------------------

    def _invoked(self, event: Invoked) -> None:
        state = self.state
        call = Call(
            number=event.call,
            client=event.client,
            operation=event.operation,
            job=event.job,
            claim=event.claim,
            step=event.step,
            invoked=event,
            session=state.session(event.client),
            instant=state.instant,
        )
        state.in_flight.begin(call)
        state.calls[event.call] = call
        state.clients.add(event.client)
        self._side.invoked(call)

    def _ran(self, event: Ran) -> None:
        call = self.state.calls.get(event.call)
        if call is not None:
            self._side.ran(call, event)

    def _executed(self, event: Executed) -> None:
        self._side.executed(event)

    def _working(self, event: Working) -> None:
        state = self.state
        if event.over:
            state.bodies.pop(event.line, None)
            return
        self._desk.put(self._questions.working, event)
        body = Body(client=event.client, line=event.line, job=event.job, step=event.step, at=state.now)
        state.bodies[event.line] = body

    def _blocked(self, event: Blocked) -> None:
        call = self.state.calls.get(event.call)
        if call is not None:
            self._side.blocked(call)
        self._desk.put(self._questions.blocked, event)

    def _committed(self, event: Committed) -> None:
        state, call = self.state, self.state.calls.get(event.call)
        if call is None:
            return
        call.open = False
        call.commit = CommitSeen(event.step, state.is_current(call))
        commit(state, call)
        self._side.committed(call, event)
        self._desk.remember(self._questions.committed, call)

    def _observed(self, event: Observed) -> None:
        state, desk = self.state, self._desk
        differences = changes(state, event, self._side.suspects) if event.jobs else []
        self._side.seen(event, differences)
        asked = self._questions.changed
        state.taking = frozenset(change.job for change in differences if change.meaning in CLAIMS)
        for change in differences:
            desk.put(asked[change.meaning], change)
        state.taking = frozenset()
        for change in differences:
            adopt(state, change)
            desk.keep(change)
        adopt_rest(state, event)
        self._side.observed(event, differences)
        if event.jobs or event.runs or event.logs:
            desk.put(self._questions.observed, event)

    def _returned(self, event: Returned) -> None:
        state, call = self.state, self.state.calls.get(event.call)
        if call is None:
            return
        call.answer = event
        if self._side.is_lost(call):
            self._side.lose(call)
            return
        state.in_flight.end(call)
        call.open = call.blocked = False
        if call.operation == CLAIM.name:
            for job in call.returned_jobs:
                make_certain(state, call, job)
        self._desk.put(self._questions.returned[call.operation], call)
        self._side.returned(call)

    def _ended(self, event: Ended) -> None:
        self.state.end_bodies(event.client, crashed=event.crashed)
        if not event.line:
            self._side.ended(event)

    def _restarted(self, event: Restarted) -> None:
        state = self.state
        for client in sorted(state.clients | state.sessions.keys()):
            end_session(state, client)
        self._side.restarted()

    def _connected(self, event: Connected) -> None:
        self._side.connected(event)
        self.state.sessions.setdefault(event.client, 0)

    def _advanced(self, event: Advanced) -> None:
        self.state.pass_time(event.now)
        self.state.moved_step = event.step

    def _judged(self, event: Judged) -> None:
        """Do nothing: the judge got promises and settings when it was made."""

    def _deadlocked(self, event: Deadlocked) -> None:
        self._desk.put(self._questions.deadlocked, event)

    def _draining(self, event: Draining) -> None:
        state = self.state
        if event.over:
            self._side.drained(event)
            return
        state.drain, state.drain_instant = event, state.instant
        state.unfinished = sum(map(state.is_unfinished, state.jobs.values()))


_EXAMINE: dict[type[Event], Callable[[Judge, Any], None]] = {
    Invoked: Judge._invoked,
    Ran: Judge._ran,
    Executed: Judge._executed,
    Working: Judge._working,
    Blocked: Judge._blocked,
    Committed: Judge._committed,
    Observed: Judge._observed,
    Returned: Judge._returned,
    Ended: Judge._ended,
    Connected: Judge._connected,
    Advanced: Judge._advanced,
    Deadlocked: Judge._deadlocked,
    Restarted: Judge._restarted,
    Draining: Judge._draining,
    Judged: Judge._judged,
}
