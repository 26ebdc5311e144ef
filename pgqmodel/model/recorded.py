"""What a recorded history needs beside the model: calls that really overlapped, answers that never came.

There is no snapshot to look into, so what depends on one is judged only where every possible order agrees:

- a claim is accused of passing over a job only if that was ready before the claim began and after it had ended, and no
  call that was in flight meanwhile could have had it locked: each of them ended, well, and had not touched it, nor
  had begun before the job was last changed: at READ COMMITTED such a call locks the row that its snapshot showed it,
  looks at it again, and leaves it locked even if it takes another one;
- a lock is accused of having been granted twice only once its first holder has shown that it held it all the time;
- a lock is accused of having leaked only if nothing about its environment was going on while it was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define, evolve

from pgqmodel.history import Ended, Job, Observed
from pgqmodel.model.change import Call, Change
from pgqmodel.model.eligible import column
from pgqmodel.model.ready import Ready, sort_key
from pgqmodel.model.rule import Broken, broken
from pgqmodel.model.state import Hold, HoldState, ModelState
from pgqmodel.model.telling import listed, tell_call, tell_job
from pgqmodel.model.transitions import Meaning
from pgqmodel.operations import SETTLEMENTS, Status

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
_Doubt = tuple[str, Hold, Broken]


@define(eq=False)
class _Passed:
    """A claim that passed over jobs, until it is known whether somebody had them locked."""

    client: str
    begun: int
    over: int
    taken: Job | None
    jobs: dict[str, Job]


class Recorded:
    """The memory of a recorded history. `invoked`, `observed` and `returned` are told what happened, in this order."""

    def __init__(self, promises: Mapping[str, Any], witnessed: dict[str, int]) -> None:
        self._order: Sequence[tuple[str, str]] = [tuple(each) for each in promises.get("claim-order", ())]
        self._declared = frozenset(promises)
        self._witnessed = witnessed
        self._ready = Ready(self._order)
        self._judges_claims = bool({"claim-order", "claim-complete"} & self._declared)
        self._takers: dict[int, Call] = {}
        self._passed: deque[_Passed] = deque()
        self._watched: dict[str, list[_Passed]] = {}
        self._about: dict[str, list[int]] = {}
        self._changed: dict[str, int] = {}
        """When a job that had been there was changed last."""
        self._failed_step = 0
        self._blind_until = float("-inf")
        self._doubts: dict[str, list[_Doubt]] = {}
        self._accepted: dict[str, int] = {}
        self.shows_logs = False
        """Whether the lines of logs are among what was observed."""

    # -- what happens ----------------------------------------------------------------------------------------------

    def invoked(self, state: ModelState, call: Call) -> None:
        """A call begins."""
        call.subjects = subjects = self._subjects(state, call)
        for name in subjects:
            about = self._about.get(name)
            if about is None:
                about = self._about[name] = [0, 0]
            if call.operation == "lock" and name.startswith("environment "):
                call.quiet = not about[0] and _is_free(state, call)
            about[0] += 1
            about[1] = call.step
        if call.operation in _TAKERS and self._judges_claims:
            self._takers[call.number] = call
            call.oldest_step = next(iter(self._takers.values())).step
            if call.operation == "claim":
                self._ready.look(state, state.now, call.step)
            self._give_up_waiting(state)
        if call.operation == "log" and call.job is not None:
            call.lines_before = self._accepted.get(call.job)

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
                self._changed[change.job] = state.step
            if change.meaning is not _REWRITTEN or change.before is None:
                self._ready.changed(state, change.job, change.after or change.before)
            if call is not None:
                call.touched.append(change.job)
                if change.meaning is _CLAIMED and call.found is None:
                    call.found = change.before
                if call.number in state.in_flight.lost:
                    state.in_flight.find(call)
            for passed in self._watched.pop(change.job, ()):
                if call is None or call.step < passed.over:
                    passed.jobs.pop(change.job, None)
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
                about[0] -= 1
                about[1] = state.step
        for name in call.touched:
            self._ready.confirm(state, name, state.step)
        if call.operation == "log" and call.job is not None and call.lines and call.status is _OK:
            last = max(number for number, _ in call.lines)
            self._accepted[call.job] = max(self._accepted.get(call.job, last), last)
        if call.operation in _OF_HOLDERS and call.status is _OK:
            yield from self._hold_is_shown(state, call)
        if call.status in _FAILED:
            self.doubt(state, call.client, lapses=False)
        if call.number in self._takers:
            yield from self._taker_returned(state, call)

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
        self._about = {name: about for name, about in self._about.items() if not about[0]}

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
            self._drop_after(call.step)

    def _drop_after(self, step: int) -> None:
        """Forget what claims passed over that ended after `step`: somebody may have had it locked."""
        while self._passed and self._passed[-1].over > step:
            self._passed.pop()

    def _give_up_waiting(self, state: ModelState) -> None:
        """A call that has been in flight for long will not be waited for."""
        oldest = next(iter(self._takers.values()))
        if oldest.started_at is not None and state.now - oldest.started_at > LINGER_SECONDS:
            self._blind(state, oldest)

    def _taker_returned(self, state: ModelState, call: Call) -> Iterator[Broken]:
        del self._takers[call.number]
        if call.status in _FAILED:
            self._failed_step = state.step
            self._drop_after(call.step)
        elif call.operation == "claim":
            self._look_past(state, call)
        oldest = next(iter(self._takers.values()), None)
        while self._passed and (oldest is None or oldest.step > self._passed[0].over):
            passed = self._passed.popleft()
            for name in passed.jobs:
                watching = self._watched.get(name)
                if watching is not None and passed in watching:
                    watching.remove(passed)
            if passed.jobs:
                yield self._tell(state, passed)

    def _look_past(self, state: ModelState, call: Call) -> None:
        """Keep in mind what a claim passed over, if that can be judged at all."""
        taken = call.found
        judged = taken is not None and "claim-order" in self._declared and call.status is _OK
        if not judged and not (call.status is _EMPTY and not call.took and "claim-complete" in self._declared):
            return
        if self._failed_step > call.step or (call.started_at or 0.0) < self._blind_until:
            return
        limit = sort_key(taken, self._order) if taken is not None else None
        jobs: dict[str, Job] = {}
        seen = False
        for key, job in self._ready.best(state, call.step):
            seen = True
            if (limit is not None and not key < limit) or len(jobs) >= min(_FOUND_MAX, len(self._takers) + 1):
                break
            if self._is_alone(state, call, job):
                jobs[job.job] = job
        if limit is None or seen:
            self._witnessed["claim-complete" if limit is None else "claim-order"] += 1
        if jobs:
            passed = _Passed(client=call.client, begun=call.step, over=state.step, taken=taken, jobs=jobs)
            self._passed.append(passed)
            for name in jobs:
                self._watched.setdefault(name, []).append(passed)

    def _is_alone(self, state: ModelState, call: Call, job: Job) -> bool:
        """Whether no call was about a job or its key while this one was in flight, and none knew an older version."""
        if state.limit is not None and column(job, state.limit.column) is not None:
            return False
        if self._changed.get(job.job, 0) > call.oldest_step:
            return False
        subjects = [f"job {job.job}", *([f"key {job.unique_key}"] if job.unique_key is not None else ())]
        abouts = [self._about.get(subject, (0, 0)) for subject in subjects]
        return all(not inside and last < call.step for inside, last in abouts)

    def _tell(self, state: ModelState, passed: _Passed) -> Broken:
        jobs = list(passed.jobs.values())
        span = f"{passed.client}'s claim (begun at step {passed.begun})"
        alone = "Nobody who was in flight meanwhile had it, as their ends show."
        if passed.taken is None:
            told = f"{listed(jobs)} could be claimed from before {span} until after it."
            found = broken(
                state, "false-empty", jobs[0].job, told, alone, f"Yet it found nothing at step {passed.over}."
            )
            return evolve(found, step=passed.over)
        order = ", ".join(f"{name} {direction}" for name, direction in self._order)
        told = (
            f"{tell_job(jobs[0])} could be claimed from before {span} until after it, and comes before "
            f"{tell_job(passed.taken)} by {order}."
        )
        yet = f"Yet it took {passed.taken.job}, and was answered at step {passed.over}."
        return evolve(broken(state, "order-inversion", passed.taken.job, told, alone, yet), step=passed.over)

    # -- deploy locks ----------------------------------------------------------------------------------------------

    def suspect(self, hold: Hold, found: Broken) -> None:
        """A lock was granted that somebody else held, unless their session had ended without anybody's knowing."""
        self._doubts.setdefault(hold.client, []).append((hold.environment, hold, found))

    def _hold_is_shown(self, state: ModelState, call: Call) -> Iterator[Broken]:
        """An unlock or a deploy was accepted: its client held the lock all the time before it began."""
        doubts = self._doubts.pop(call.client, None)
        if doubts is None:
            return
        environment = state.environment(call)
        for doubt in doubts:
            where, _, found = doubt
            if where != environment:
                self._doubts.setdefault(call.client, []).append(doubt)
            elif call.step > found.step:
                shown = f"{tell_call(call, verb='was accepted')}, so it had held it until then."
                yield evolve(found, explanation=(*found.explanation, shown))

    def has_leaked(self, state: ModelState, call: Call) -> bool:
        """Whether a refused lock was free while it was asked for, and nobody else was about it."""
        environment = state.environment(call)
        about = self._about.get(f"environment {environment}")
        alone = about is not None and about[0] == 1 and about[1] == call.step
        return call.quiet and alone and state.is_current(call) and _is_free(state, call)


def _is_free(state: ModelState, call: Call) -> bool:
    hold = state.hold_of(call)
    return hold is None or (hold.state is _FREE and hold.released)
