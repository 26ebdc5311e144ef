"""What a recorded history needs beside the model: calls that really overlapped, answers that never came.

There is no snapshot to look into, so what depends on one is judged only where every possible order agrees:

- a claim is accused of passing over a job only if that was ready before the claim began and after it had ended, and no
  call that was in flight meanwhile could have had it locked: each of them ended, well, and had not touched it, nor
  had begun before the job was last changed: at READ COMMITTED such a call locks the row that its snapshot showed it,
  looks at it again, and leaves it locked even if it takes another one;
- a lock is accused of having been granted twice only once its first holder has shown that it held it all the time;
- a lock is accused of having leaked only if nothing about its environment was going on while it was asked for.

What is simultaneous is unordered: "before" and "after" are said of instants here, never of lines. A call overlaps
whatever is answered at the instant at which it begins, and whatever begins at the instant at which it is answered, so
nothing is judged before the instant is over (`end_instant`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define, evolve

from pgqmodel.history import Ended, Job, Observed
from pgqmodel.model.change import Call, Change
from pgqmodel.model.eligible import column
from pgqmodel.model.holds import Hold, HoldState
from pgqmodel.model.ready import Ready, sort_key
from pgqmodel.model.rule import Broken, broken
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import listed, tell_call, tell_job
from pgqmodel.operations import SETTLEMENTS, Meaning, Status

__all__ = ["LINGER_SECONDS", "Recorded"]

_EMPTY, _OK = Status.EMPTY, Status.OK
_CLAIMED, _REWRITTEN = Meaning.CLAIMED, Meaning.REWRITTEN
_FREE, _HELD, _LAPSED = HoldState.FREE, HoldState.HELD, HoldState.LAPSED

LINGER_SECONDS = 30.0
"""For so long after its client has died a statement may go on in the server and hold what it locked."""
_TAKERS = frozenset({"claim", "reclaim", "cancel"})
_OF_LOCKS = frozenset({*SETTLEMENTS, "lock", "unlock", "deploy", "cancel"})
_OF_HOLDERS = frozenset({"unlock", "deploy"})
_FAILED = frozenset({Status.ERROR, Status.UNKNOWN})
_FOUND_MAX = 16
_Doubt = tuple[str, int, Broken]
"""An environment, the instant at which its lock was granted a second time, and what that would break."""


@define(eq=False)
class _Passed:
    """A claim that passed over jobs, until it is known whether somebody had them locked."""

    client: str
    begun: int
    over: int
    until: int
    """The instant at which it was answered."""
    taken: Job | None
    jobs: dict[str, Job]


@define(eq=False)
class _About:
    """Who is about a job, a key or an environment: how many calls in flight, and when the last began or ended."""

    inside: int = 0
    instant: int = 0
    step: int = 0


class Recorded:
    """The memory of a recorded history. It is told what happens, and in `end_instant` that an instant is over."""

    def __init__(self, promises: Mapping[str, Any], witnessed: dict[str, int]) -> None:
        self._order: Sequence[tuple[str, str]] = [tuple(each) for each in promises.get("claim-order", ())]
        self._declared = frozenset(promises)
        self._witnessed = witnessed
        self._ready = Ready(self._order)
        self._judges_claims = bool({"claim-order", "claim-complete"} & self._declared)
        self._takers: dict[int, Call] = {}
        self._answered: list[Call] = []
        """The takers that were answered at the present instant."""
        self._passed: deque[_Passed] = deque()
        self._watched: dict[str, list[tuple[_Passed, str]]] = {}
        """By subject: the claims that passed over a job of it, and that job."""
        self._about: dict[str, _About] = {}
        self._changed: dict[str, int] = {}
        """The instant at which a job that had been there was changed last."""
        self._failed = 0
        """The instant at which a taker failed last."""
        self._blind_until = float("-inf")
        self._doubts: dict[str, list[_Doubt]] = {}
        self._leaks: list[tuple[Call, int, Broken]] = []
        self._accepted: dict[str, int] = {}
        """The last sequence of each job's log that was accepted before the present instant."""
        self._accepted_now: dict[str, int] = {}
        self._accepted_own: dict[str, tuple[str, int]] = {}
        """Each client's last accepted line: its job and sequence. A client's own order holds within an instant too."""
        self.shows_logs = False
        """Whether the lines of logs are among what was observed."""

    # -- what happens ----------------------------------------------------------------------------------------------

    def invoked(self, state: ModelState, call: Call) -> None:
        """A call begins."""
        call.subjects = subjects = self._subjects(state, call)
        for name in subjects:
            about = self._about.get(name)
            if about is None:
                about = self._about[name] = _About()
            if call.operation == "lock" and name.startswith("environment "):
                call.quiet = not about.inside and about.instant < call.instant and _is_free(state, call)
            about.inside += 1
            about.instant, about.step = call.instant, call.step
            if name in self._watched:
                self._excuse(name, call.instant)
        if call.operation in _TAKERS and self._judges_claims:
            self._takers[call.number] = call
            call.oldest = next(iter(self._takers.values())).instant
            if call.operation == "claim":
                self._ready.look(state, state.now, call.instant)
            self._give_up_waiting(state)
        if call.operation == "log" and call.job is not None:
            own_job, own = self._accepted_own.get(call.client, (None, None))
            known = (self._accepted.get(call.job), own if own_job == call.job else None)
            call.lines_before = max((last for last in known if last is not None), default=None)

    def _subjects(self, state: ModelState, call: Call) -> list[str]:
        """What a call is about, so that it may have it locked."""
        subjects = []
        if call.job is not None:
            subjects.append(f"job {call.job}")
        key = call.arguments.get("unique_key") if call.arguments else None
        if key is not None:
            subjects.append(f"key {key}")
        if call.operation in _OF_LOCKS:
            environment = state.environment(call)
            if environment is not None:
                subjects.append(f"environment {environment}")
        return subjects

    def observed(self, state: ModelState, event: Observed, changes: Sequence[Change]) -> None:
        """A commit was taken over."""
        for change in changes:
            call = change.call
            if change.before is not None:
                self._changed[change.job] = state.instant
            if change.meaning is not _REWRITTEN or change.before is None:
                self._ready.changed(state, change.job, change.after or change.before)
            if call is not None:
                call.touched.append(change.job)
                if change.meaning is _CLAIMED and call.found is None:
                    call.found = change.before
                if call.number in state.in_flight.lost:
                    state.in_flight.find(call)
            for passed, name in self._watched.pop(f"job {change.job}", ()) if self._watched else ():
                if call is None or call.instant <= passed.until:
                    passed.jobs.pop(name, None)
        if event.logs:
            self._keep_lines(state, event)

    def _keep_lines(self, state: ModelState, event: Observed) -> None:
        """Remember which lines a call's commit added."""
        self.shows_logs = True
        for number in event.by:
            writer = state.calls.get(number)
            if writer is not None and writer.job is not None:
                writer.lines.extend(event.logs.get(writer.job, ()))

    def returned(self, state: ModelState, call: Call) -> Iterator[Broken]:
        """A call is over, and its effects are in the state."""
        for name in call.subjects:
            about = self._about.get(name)
            if about is not None:
                about.inside -= 1
                about.instant, about.step = state.instant, state.step
        for name in call.touched:
            self._ready.confirm(state, name, state.instant)
        if call.operation == "log" and call.job is not None and call.lines and call.status is _OK:
            last = max(number for number, _ in call.lines)
            self._accepted_now[call.job] = max(self._accepted_now.get(call.job, last), last)
            self._accepted_own[call.client] = (call.job, last)
        if call.operation in _OF_HOLDERS and call.status is _OK:
            yield from self._hold_is_shown(state, call)
        if call.status in _FAILED:
            self.doubt(state, call.client, lapses=False)
        if call.number in self._takers:
            self._taker_returned(state, call)

    def end_instant(self, state: ModelState) -> Iterator[Broken]:
        """What an instant that is over leaves unexcused."""
        for job, last in self._accepted_now.items():
            self._accepted[job] = max(self._accepted.get(job, last), last)
        self._accepted_now.clear()
        if self._leaks:
            yield from self._leaked(state)
        for call in self._answered:
            self._takers.pop(call.number, None)
        self._answered.clear()
        oldest = next(iter(self._takers.values()), None)
        while self._passed and (oldest is None or oldest.instant > self._passed[0].until):
            passed = self._passed.popleft()
            self._forget(passed)
            if passed.jobs:
                yield self._tell(state, passed)

    def has_changed(self, job: str, call: Call) -> bool:
        """Whether a job was changed since a call began, as far as anybody can know."""
        return self._changed.get(job, 0) >= call.instant

    def lose(self, state: ModelState, call: Call) -> None:
        """A call's answer was lost: it stays among those that may have done what nobody claims."""
        state.in_flight.lose(call)
        self._blind(state, call)
        if call.operation == "unlock":
            hold = state.hold_of(call)
            if hold is not None and hold.client == call.client and hold.state is _HELD:
                hold.state, hold.freed = _LAPSED, f"the answer to {call.client}'s unlock was lost"
        self.doubt(state, call.client, lapses=False)

    def ended(self, state: ModelState, event: Ended) -> None:
        """A client's session has ended, or the client itself: then its calls will never be answered."""
        if not event.crashed:
            self.doubt(state, event.client)
            return
        self._doubts.pop(event.client, None)
        for call in state.in_flight.of_client(event.client):
            self.lose(state, call)
        state.end_session(event.client)

    def restarted(self, state: ModelState) -> None:
        """The server was killed: no statement of before goes on."""
        self._doubts.clear()
        now = state.instant
        self._about = {name: about for name, about in self._about.items() if not about.inside or about.instant == now}

    def doubt(self, state: ModelState, client: str, *, lapses: bool = True) -> None:
        """A client's session may have ended some time ago: its lock may be held or free."""
        self._doubts.pop(client, None)
        for hold in state.holds.values() if lapses else ():
            if hold.client == client and hold.state is _HELD:
                hold.state, hold.freed = _LAPSED, f"{client} had a new session by step {state.step}"

    # -- claims ----------------------------------------------------------------------------------------------------

    def _blind(self, state: ModelState, call: Call) -> None:
        """Nobody knows how a call ended that may have held jobs locked."""
        if self._takers.pop(call.number, None) is not None:
            self._blind_until = max(self._blind_until, state.now + LINGER_SECONDS)
            self._drop_since(call.instant)

    def _drop_since(self, instant: int) -> None:
        """Forget what claims passed over that ended since `instant`: somebody may have had it locked."""
        while self._passed and self._passed[-1].until >= instant:
            self._forget(self._passed.pop())

    def _forget(self, passed: _Passed) -> None:
        """Nobody need watch what a claim passed over any more."""
        for job in passed.jobs.values():
            for subject in _subjects(job):
                watching = self._watched.get(subject)
                if watching is not None and (passed, job.job) in watching:
                    watching.remove((passed, job.job))
                    if not watching:
                        del self._watched[subject]

    def _excuse(self, subject: str, instant: int) -> None:
        """A call about a subject begins, which claims that are answered at this very instant may have met."""
        watching = self._watched[subject]
        while watching and watching[-1][0].until == instant:
            passed, job = watching.pop()
            passed.jobs.pop(job, None)
        if not watching:
            del self._watched[subject]

    def _give_up_waiting(self, state: ModelState) -> None:
        """A call that has been in flight for long will not be waited for."""
        oldest = next(iter(self._takers.values()))
        if oldest.started_at is not None and state.now - oldest.started_at > LINGER_SECONDS:
            self._blind(state, oldest)

    def _taker_returned(self, state: ModelState, call: Call) -> None:
        self._answered.append(call)
        if call.status in _FAILED:
            self._failed = state.instant
            self._drop_since(call.instant)
        elif call.operation == "claim":
            self._look_past(state, call)

    def _look_past(self, state: ModelState, call: Call) -> None:
        """Keep in mind what a claim passed over, if that can be judged at all."""
        taken = call.found
        judged = taken is not None and "claim-order" in self._declared and call.status is _OK
        if not judged and not (call.status is _EMPTY and not call.took and "claim-complete" in self._declared):
            return
        if self._failed >= call.instant or (call.started_at or 0.0) < self._blind_until:
            return
        limit = sort_key(taken, self._order) if taken is not None else None
        jobs: dict[str, Job] = {}
        seen = False
        for key, job in self._ready.best(state, call.instant):
            seen = True
            if (limit is not None and not key < limit) or len(jobs) >= min(_FOUND_MAX, len(self._takers) + 1):
                break
            if self._is_alone(state, call, job):
                jobs[job.job] = job
        if limit is None or seen:
            self._witnessed["claim-complete" if limit is None else "claim-order"] += 1
        if jobs:
            passed = _Passed(
                client=call.client, begun=call.step, over=state.step, until=state.instant, taken=taken, jobs=jobs
            )
            self._passed.append(passed)
            for job in jobs.values():
                for subject in _subjects(job):
                    self._watched.setdefault(subject, []).append((passed, job.job))

    def _is_alone(self, state: ModelState, call: Call, job: Job) -> bool:
        """Whether no call was about a job or its key while this one was in flight, and none knew an older version."""
        if state.limit is not None and column(job, state.limit.column) is not None:
            return False
        if self._changed.get(job.job, 0) >= call.oldest:
            return False
        abouts = [self._about[subject] for subject in _subjects(job) if subject in self._about]
        return all(not about.inside and about.instant < call.instant for about in abouts)

    def _tell(self, state: ModelState, passed: _Passed) -> Broken:
        jobs = list(passed.jobs.values())
        span = f"{passed.client}'s claim (begun at step {passed.begun})"
        alone = "Nobody who was in flight meanwhile had it, as their ends show."
        if passed.taken is None:
            told = f"{listed(state, jobs)} could be claimed from before {span} until after it."
            found = broken(
                state, "false-empty", jobs[0].job, told, alone, f"Yet it found nothing at step {passed.over}."
            )
            return evolve(found, step=passed.over)
        order = ", ".join(f"{name} {direction}" for name, direction in self._order)
        told = (
            f"{tell_job(state, jobs[0])} could be claimed from before {span} until after it, and comes before "
            f"{tell_job(state, passed.taken)} by {order}."
        )
        yet = f"Yet it took {passed.taken.job}, and was answered at step {passed.over}."
        return evolve(broken(state, "order-inversion", passed.taken.job, told, alone, yet), step=passed.over)

    # -- deploy locks ----------------------------------------------------------------------------------------------

    def suspect(self, state: ModelState, hold: Hold, found: Broken) -> None:
        """A lock was granted that somebody else held, unless their session had ended without anybody's knowing."""
        self._doubts.setdefault(hold.client, []).append((hold.environment, state.instant, found))

    def _hold_is_shown(self, state: ModelState, call: Call) -> Iterator[Broken]:
        """An unlock or a deploy was accepted: its client held the lock all the time before it began."""
        doubts = self._doubts.pop(call.client, None)
        if doubts is None:
            return
        environment = state.environment(call)
        for doubt in doubts:
            where, instant, found = doubt
            if where != environment:
                self._doubts.setdefault(call.client, []).append(doubt)
            elif call.instant > instant:
                shown = f"{tell_call(call, verb='was accepted')}, so it had held it until then."
                yield evolve(found, explanation=(*found.explanation, shown))

    def has_leaked(self, state: ModelState, call: Call) -> bool:
        """Whether a refused lock was free while it was asked for, and nobody else was about it."""
        environment = state.environment(call)
        about = self._about.get(f"environment {environment}")
        alone = about is not None and about.inside == 1 and about.step == call.step
        return call.quiet and alone and state.is_current(call) and _is_free(state, call)

    def suspect_leak(self, state: ModelState, call: Call, found: Broken) -> None:
        """A lock has leaked, unless somebody else asks for it, or the job is taken back, at the same instant."""
        self._leaks.append((call, state.step, found))

    def _leaked(self, state: ModelState) -> Iterator[Broken]:
        for call, step, found in self._leaks:
            about = self._about.get(f"environment {state.environment(call)}")
            alone = about is not None and not about.inside and about.step == step
            if alone and state.is_current(call) and _is_free(state, call):
                yield found
        self._leaks.clear()


def _is_free(state: ModelState, call: Call) -> bool:
    hold = state.hold_of(call)
    return hold is None or (hold.state is _FREE and hold.released and not hold.rivals)


def _subjects(job: Job) -> list[str]:
    """What a call may be about that has this job locked."""
    return [f"job {job.job}", *([f"key {job.unique_key}"] if job.unique_key is not None else ())]
