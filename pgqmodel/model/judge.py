"""The judge: takes the events of a history one by one, keeps the model's state, and says when a promise is broken.

It only leads: what a difference means is in `step`, what breaks a promise in `promises`, what puts one to the test in
`witness`, which of them are asked in `questions`. It adopts whatever was observed, because promises that are not
declared may be broken without ado.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pgqmodel.history import (
    Advanced,
    Blocked,
    Committed,
    Connected,
    Deadlocked,
    Draining,
    Ended,
    Event,
    Invoked,
    Judged,
    Observed,
    Ran,
    Restarted,
    Returned,
)
from pgqmodel.model.change import Call
from pgqmodel.model.culprit import blamed
from pgqmodel.model.eligible import eligible
from pgqmodel.model.holds import Hold, HoldState, others
from pgqmodel.model.instants import Instants
from pgqmodel.model.lateness import Lateness
from pgqmodel.model.questions import Asked, Questions
from pgqmodel.model.recorded import Recorded
from pgqmodel.model.rule import Broken, Hook
from pgqmodel.model.state import TIMEOUT_SECONDS, Bound, ModelState
from pgqmodel.model.step import changes
from pgqmodel.operations import LIVE, Status
from pgqmodel.promises import PROMISES

__all__ = ["Judge"]

_OK, _UNKNOWN = Status.OK, Status.UNKNOWN
_FREE, _HELD, _LAPSED = HoldState.FREE, HoldState.HELD, HoldState.LAPSED
_BLOCKED, _DEADLOCKED, _DRAINED, _OBSERVED = Hook.BLOCKED, Hook.DEADLOCKED, Hook.DRAINED, Hook.OBSERVED


class Judge:
    """Judges one story against the promises that a target declares."""

    def __init__(self, *, promises: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        declared = {name: value for name, value in promises.items() if value}
        if isinstance(declared.get("live-limit"), Mapping):
            declared["live-limit"] = Bound(**declared["live-limit"])
        self._declared = declared
        self._found: list[Broken] = []
        timeout = settings.get("heartbeat_timeout_seconds")
        self.state = ModelState(
            timeout_seconds=float(timeout if timeout is not None else TIMEOUT_SECONDS),
            attempts_max=settings.get("max_attempts"),
            limit=declared.get("live-limit"),
            session_frees_locks="lock-release" in declared,
            lateness=Lateness(declared=timeout is not None),
        )
        self._witnessed = dict.fromkeys((name for name in PROMISES if name in declared), 0)
        self._questions = Questions(declared)
        self._instants = Instants()
        self._drained: Draining | None = None

    @property
    def witnessed(self) -> Mapping[str, int]:
        """How often each declared promise was put to the test."""
        return self._witnessed

    def examine(self, event: Event) -> Broken | None:
        """Take in the next event; the first declared promise that it breaks, or None."""
        found = self.findings(event)
        return found[0] if found else None

    def findings(self, event: Event) -> Sequence[Broken]:
        """Take in the next event; everything that it breaks. The judge goes on from what was observed."""
        state = self.state
        if self._found:
            self._found = []
        if self._instants.has_moved(event):
            self._end_instant()
            state.instant, state.version_before = self._instants.number, state.version
        state.step = event.step
        if event.at is not None:
            state.pass_time(event.at)
            if state.recorded is None:
                state.recorded = Recorded(self._declared, self._witnessed)
        _EXAMINE[type(event)](self, event)
        return self._found

    def finish(self) -> Sequence[Broken]:
        """The history is over; everything that nothing can explain any more."""
        self._found = []
        self._end_instant()
        return self._found

    def _end_instant(self) -> None:
        """All that was simultaneous is known: judge what could be excused by it."""
        if self.state.recorded is not None:
            self._found.extend(self.state.recorded.end_instant(self.state))
        if self._drained is not None:
            drained, self._drained = self._drained, None
            self._ask(_DRAINED, drained)

    def _ask(self, hook: Hook, subject: Any) -> None:
        """Ask everything of one kind about what happened."""
        self._put(self._questions.all[hook], subject)

    def _put(self, asked: Asked, subject: Any) -> None:
        """Ask whether something was put to the test, and every rule; the first that is broken gives it its name."""
        state = self.state
        if self._found and state.recorded is None:
            return
        witnesses, rules = asked
        for name, occurred in witnesses:
            if occurred(state, subject):
                self._witnessed[name] += 1
        for judge, value in rules:
            found = judge(state, subject, value)
            if found is not None:
                self._found.append(blamed(state, subject, found))
                # What breaks a promise puts it to the test, also where its witness is asked later or not at all.
                if not any(name == found.promise and occurred(state, subject) for name, occurred in witnesses):
                    self._witnessed[found.promise] += 1
                return

    # -- one method an event ---------------------------------------------------------------------------------------

    def _invoked(self, event: Invoked) -> None:
        state = self.state
        call = Call(
            number=event.call,
            client=event.client,
            worker=event.worker,
            operation=event.operation,
            job=event.job,
            claim=event.claim,
            arguments=event.arguments,
            session=state.session(event.client),
            step=event.step,
            instant=state.instant,
        )
        state.in_flight.begin(call)
        state.calls[event.call] = call
        state.clients.add(event.client)
        if state.recorded is not None:
            call.started_at = state.now
            self._meet(call)
            call.disturbed = True  # what it saw is known from nothing but its times: `recorded` judges that
            state.recorded.invoked(state, call)

    def _ran(self, event: Ran) -> None:
        state, call = self.state, self.state.calls.get(event.call)
        if call is None:
            return
        call.ran_at = state.now
        if call.started_at is None:
            call.started_at = state.now
        state.lateness.runs(call, state.now)
        if not call.ran:
            self._meet(call)
            call.disturbed = call.disturbed or any(
                other.open or other.blocked for other in state.in_flight.values() if other is not call
            )
        if call.operation == "claim":
            self._pass_over(call)
        call.blocked, call.open = False, event.open
        if event.open:
            self._disturb(call)

    def _meet(self, call: Call) -> None:
        """Remember what a call met when it took its first snapshot, or in a recorded history just before."""
        state = self.state
        call.ran = True
        call.ran_at = state.now
        call.ran_version = state.version if state.recorded is None else state.version_before
        call.met_final = state.is_final(call.job) if call.job is not None else state.finals > 0
        call.met_running = bool(state.current)
        key = call.arguments.get("unique_key")
        call.met_key = key is not None and bool(state.keyed.get(key))
        hold = state.hold_of(call) if call.operation == "lock" else None
        call.met_free = hold is None or hold.state is _FREE

    def _pass_over(self, call: Call) -> None:
        """Remember what a claim's statement could have taken; nothing, if somebody may have had it locked."""
        others = (other for other in self.state.in_flight.values() if other is not call)
        alone = not call.waited and not any(other.open or other.blocked for other in others)
        if call.passed_over or call.passed_over is None:
            call.passed_over = eligible(self.state, call) if alone else []

    def _disturb(self, call: Call) -> None:
        """From now on `call` may hold locks: whatever runs beside it cannot be judged by what it sees."""
        for other in self.state.in_flight.values():
            if other is not call:
                other.disturbed = True

    def _blocked(self, event: Blocked) -> None:
        call = self.state.calls.get(event.call)
        if call is not None:
            call.blocked = call.waited = call.disturbed = True
            if call.started_at is None:
                call.started_at = self.state.now
            self._disturb(call)
        self._ask(_BLOCKED, event)

    def _committed(self, event: Committed) -> None:
        state, call = self.state, self.state.calls.get(event.call)
        if call is None:
            return
        call.open = False
        if event.at is not None:
            call.ran_at = event.at
        call.committed_step = event.step
        call.current_at_commit = state.is_current(call)
        call.settled_at_commit = state.has_settled(call)
        if call.operation == "deploy":
            call.could_deploy = state.may_deploy(call)

    def _observed(self, event: Observed) -> None:
        state = self.state
        differences = changes(state, event) if event.jobs else []
        if event.at is not None:
            for change in differences:
                if change.call is not None and change.call.number not in event.by:
                    change.call.ran_at = event.at
        asked = self._questions.changed
        for change in differences:
            self._put(asked[change.meaning], change)
        for change in differences:
            state.adopt(change)
        state.adopt_rest(event)
        state.lateness.observed(event, state.now)
        if state.recorded is not None:
            state.recorded.observed(state, event, differences)
        if event.jobs or event.runs or event.logs:
            self._ask(_OBSERVED, event)

    def _returned(self, event: Returned) -> None:
        state, call = self.state, self.state.calls.get(event.call)
        if call is None:
            return
        call.status, call.returned_job, call.error = event.status, event.job, event.error
        if state.recorded is not None and event.status is _UNKNOWN:
            state.recorded.lose(state, call)
            return
        state.in_flight.end(call)
        call.open = call.blocked = False
        if call.operation == "claim" and event.job is not None:
            self._make_certain(call, event.job)
        state.lateness.returned(state, call)
        self._put(self._questions.returned(call.operation), call)
        if event.status is _OK:
            _EFFECTS.get(call.operation, Judge._nothing)(self, call)
        if state.recorded is not None:
            self._found.extend(state.recorded.returned(state, call))
            del state.calls[event.call]

    def _ended(self, event: Ended) -> None:
        state = self.state
        if state.recorded is not None:
            state.recorded.ended(state, event)
            return
        state.end_session(event.client)

    def _restarted(self, event: Restarted) -> None:
        state = self.state
        clients = state.clients | state.sessions.keys()
        for client in sorted(clients):
            state.end_session(client)
        if state.recorded is not None:
            state.recorded.restarted(state)

    def _connected(self, event: Connected) -> None:
        state = self.state
        if state.recorded is not None and event.client in state.sessions:
            state.recorded.doubt(state, event.client)
        state.sessions.setdefault(event.client, 0)

    def _advanced(self, event: Advanced) -> None:
        self.state.pass_time(event.now)

    def _judged(self, event: Judged) -> None:
        pass

    def _deadlocked(self, event: Deadlocked) -> None:
        self._ask(_DEADLOCKED, event)

    def _draining(self, event: Draining) -> None:
        if event.over and self.state.recorded is not None:
            self._drained = event
            return
        if event.over:
            self._ask(_DRAINED, event)
            return
        self.state.drain, self.state.drain_instant = event, self.state.instant
        self.state.unfinished = sum(job.state in LIVE for job in self.state.jobs.values())

    # -- what an accepted answer does ------------------------------------------------------------------------------

    def _make_certain(self, call: Call, job: str) -> None:
        """A claim's answer says which of several claims in flight has taken a job."""
        state = self.state
        claim = state.current.get(job)
        if claim is None:
            return
        other = state.calls.get(claim.call)
        if claim.call != call.number and not claim.certain and job not in call.took and other is not None:
            state.exchange(call, other, job)
            claim = state.current[job]
        if claim.call == call.number:
            claim.certain = True

    def _take(self, call: Call) -> None:
        """A claim that was answered with a job has it, whatever the row says."""
        job, state = call.returned_job, self.state
        known = state.jobs.get(job) if job is not None else None
        if job is None or known is None or known.state not in LIVE or job in call.took:
            return
        state.start_claim(call, job)

    def _beat(self, call: Call) -> None:
        state = self.state
        claim = state.current.get(call.job) if call.job is not None else None
        if claim is not None and claim.call == call.claim and call.started_at is not None:
            claim.beat, claim.beat_step = max(claim.beat, call.started_at), state.step

    def _lock(self, call: Call) -> None:
        environment = self.state.environment(call)
        if environment is not None and not self._is_old(call):
            state = self.state
            rivals, former = others(state.holds.get(environment), call, state.instant)
            state.holds[environment] = Hold(
                environment=environment,
                client=call.client,
                job=call.job,
                claim=call.claim,
                step=state.step,
                state=_HELD if state.is_current(call) else _LAPSED,
                since=state.instant,
                rivals=rivals,
                former=former,
            )

    def _is_old(self, call: Call) -> bool:
        """Whether the answer to a lock came so late that its job is another's, and the lock too."""
        hold = self.state.hold_of(call)
        late = self.state.recorded is not None and not self.state.is_current(call)
        return late and hold is not None and hold.state is _HELD

    def _unlock(self, call: Call) -> None:
        hold = self.state.hold_of(call)
        if hold is not None and hold.client == call.client:
            hold.state, hold.released = _FREE, True
            hold.freed = f"{call.client} unlocked it at step {self.state.step}"
        elif hold is not None:
            hold.rivals, hold.former = hold.rivals - {call.client}, hold.former - {call.client}

    def _log(self, call: Call) -> None:
        line = call.arguments.get("line")
        if line is not None and call.job is not None and self.state.recorded is None:
            self.state.logged.setdefault(call.job, []).append(line)

    def _nothing(self, call: Call) -> None:
        pass


_EXAMINE: dict[type[Event], Callable[[Judge, Any], None]] = {
    Invoked: Judge._invoked,
    Ran: Judge._ran,
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
_EFFECTS: dict[str, Callable[[Judge, Call], None]] = {
    "claim": Judge._take,
    "heartbeat": Judge._beat,
    "lock": Judge._lock,
    "unlock": Judge._unlock,
    "log": Judge._log,
}
"""What an accepted answer tells the model that no observation shows."""
