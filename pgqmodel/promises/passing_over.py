"""Claims of a recorded history that passed over a job: here `claim-order` and `claim-complete` are judged.

There is no snapshot to look into. So a claim is accused of passing over a job only if every order that is possible
agrees: the job was ready before the claim began and after it had ended, and no call that was in flight meanwhile could
have had it locked. Each of those calls ended, and ended well; it had not touched the job; and it had not begun before
the job was last changed. (At READ COMMITTED a call locks the row that its snapshot showed it, looks at it again, and
leaves it locked even if it takes another one.)

Simultaneous events have no order: a call overlaps the calls that are answered at the instant at which it begins, and
the calls that begin at the instant at which it is answered. So no claim is accused before that instant is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from attrs import define

from pgqmodel.history import Job, Observed
from pgqmodel.model.change import Call, Change
from pgqmodel.model.eligible import column
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import job_seen, jobs_seen
from pgqmodel.model.interests import of_job
from pgqmodel.model.ready import Ready, sort_key
from pgqmodel.model.state import ModelState
from pgqmodel.operations import CLAIM, Meaning, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Promise
from pgqmodel.promises.reasons import Chose, FoundNothing, NothingHadIt, PassedOver
from pgqmodel.promises.value import Order
from pgqmodel.promises.watcher import Watcher

__all__ = ["LINGER_SECONDS", "PassingOver"]

LINGER_SECONDS = 30.0
"""For so long after its client has died, a statement may go on in the server and hold its locks."""
_FAILED = frozenset({Status.ERROR, Status.UNKNOWN})
_FOUND_MAX = 16


@define(eq=False)
class _Passed:
    """A claim that passed over jobs, until it is known whether another call had them locked."""

    client: str
    begun: int
    over: int
    until: int
    """The instant at which it was answered."""
    taken: Job | None
    jobs: dict[str, Job]


@define(eq=False)
class _Taker:
    """A call in flight that takes or locks jobs."""

    call: Call
    oldest: int
    """The instant at which the oldest of those in flight with it had begun."""
    found: Job | None = None
    """For a claim: the job that it took, as it was before."""


class PassingOver(Watcher):
    """Keeps the jobs that are ready, the calls that may have some locked, and the claims that passed some over."""

    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__(count)
        self._order: Order = ()
        self._ordered: Promise | None = None
        self._complete: Promise | None = None
        self._ready = Ready(self._order)
        self._takers: dict[int, _Taker] = {}
        self._answered: list[int] = []
        """The takers that were answered at the present instant."""
        self._touched: dict[int, list[str]] = {}
        """The jobs that each call in flight has changed."""
        self._passed: deque[_Passed] = deque()
        self._watched: dict[str, list[tuple[_Passed, str]]] = {}
        """By subject: the claims that passed over a job of it, and that job."""
        self._failed = 0
        """The instant at which a taker failed last."""
        self._blind_until = float("-inf")

    def hold_to_order(self, promise: Promise, order: Order) -> None:
        """Accuse claims that take a job that is not the best."""
        self._ordered, self._order = promise, order
        self._ready = Ready(order)

    def hold_to_completeness(self, promise: Promise) -> None:
        """Accuse claims that find no job although one is ready."""
        self._complete = promise

    # -- what happens ----------------------------------------------------------------------------------------------

    def invoked(self, state: ModelState, call: Call) -> None:
        """A call that may lock jobs is in flight."""
        if self._watched:
            for subject in state.interests.of_call(call):
                if subject in self._watched:
                    self._excuse(subject, call.instant)
        if not state.kinds[call.operation].looks_for_jobs:
            return
        self._takers[call.number] = taker = _Taker(call, 0)
        taker.oldest = self._oldest().instant
        if call.operation == CLAIM.name:
            self._ready.look(state, state.now, call.instant)
        self._give_up_waiting(state)

    def _oldest(self) -> Call:
        return next(iter(self._takers.values())).call

    def observed(self, state: ModelState, event: Observed, changes: Sequence[Change]) -> None:
        """A job that changed is not ready any more, and the call that changed it may have had it locked before."""
        for change in changes:
            call = change.call
            if change.meaning is not Meaning.REWRITTEN or change.before is None:
                self._ready.changed(state, change.job, change.after or change.before)
            if call is not None and call.number in state.in_flight.calls:
                self._touched.setdefault(call.number, []).append(change.job)
                taker = self._takers.get(call.number)
                if change.meaning is Meaning.CLAIMED and taker is not None and taker.found is None:
                    taker.found = change.before
            for passed, name in self._watched.pop(f"job {change.job}", ()) if self._watched else ():
                if call is None or call.instant <= passed.until:
                    passed.jobs.pop(name, None)

    def returned(self, state: ModelState, call: Call) -> Sequence[Broken]:
        """The changes that a call made are seen by all from now on."""
        for name in self._touched.pop(call.number, ()):
            self._ready.confirm(state, name, state.instant)
        taker = self._takers.get(call.number)
        if taker is None:
            return ()
        self._answered.append(call.number)
        if call.status in _FAILED:
            self._failed = state.instant
            self._drop_since(call.instant)
        elif call.operation == CLAIM.name:
            self._look_past(state, taker)
        return ()

    def instant_over(self, state: ModelState) -> Iterator[Broken]:
        """The claims that no call in flight could excuse any more are judged."""
        for number in self._answered:
            self._takers.pop(number, None)
        self._answered.clear()
        if not self._passed:
            return
        oldest = next(iter(self._takers.values()), None)
        while self._passed and (oldest is None or oldest.call.instant > self._passed[0].until):
            passed = self._passed.popleft()
            self._forget(passed)
            if passed.jobs:
                yield self._tell(state, passed)

    def lost(self, state: ModelState, call: Call) -> None:
        """The end of a call will never be known."""
        self._touched.pop(call.number, None)
        self._blind(state, call)

    # -- which claims can be judged --------------------------------------------------------------------------------

    def _blind(self, state: ModelState, call: Call) -> None:
        """No claim can be judged for a while: the end of a call that may have locked jobs is not waited for."""
        if self._takers.pop(call.number, None) is not None:
            self._blind_until = max(self._blind_until, state.now + LINGER_SECONDS)
            self._drop_since(call.instant)

    def _drop_since(self, instant: int) -> None:
        """Forget the jobs passed over by claims that ended since `instant`: another call may have had them locked."""
        while self._passed and self._passed[-1].until >= instant:
            self._forget(self._passed.pop())

    def _forget(self, passed: _Passed) -> None:
        """Watch no more calls for a claim and the jobs that it passed over."""
        for job in passed.jobs.values():
            for subject in of_job(job):
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
        oldest = self._oldest()
        if oldest.started_at is not None and state.now - oldest.started_at > LINGER_SECONDS:
            self._blind(state, oldest)

    def _look_past(self, state: ModelState, taker: _Taker) -> None:
        """Keep the jobs that a claim passed over, if that can be judged."""
        call, taken = taker.call, taker.found
        ordered = taken is not None and self._ordered is not None and call.status is Status.OK
        if not ordered and not (call.status is Status.EMPTY and not call.took and self._complete is not None):
            return
        if self._failed >= call.instant or (call.started_at or 0.0) < self._blind_until:
            return
        limit = sort_key(taken, self._order) if taken is not None else None
        jobs, seen = self._better(state, taker, limit)
        promise = self._complete if limit is None else self._ordered
        if promise is not None and (limit is None or seen):
            self.count(promise.name)
        if jobs:
            passed = _Passed(
                client=call.client, begun=call.step, over=state.step, until=state.instant, taken=taken, jobs=jobs
            )
            self._passed.append(passed)
            for job in jobs.values():
                for subject in of_job(job):
                    self._watched.setdefault(subject, []).append((passed, job.job))

    def _better(self, state: ModelState, taker: _Taker, limit: object) -> tuple[dict[str, Job], bool]:
        """The jobs before `limit` that were ready all the time and not locked; and whether any job was ready."""
        jobs: dict[str, Job] = {}
        seen = False
        for key, job in self._ready.best(state, taker.call.instant):
            seen = True
            if (limit is not None and not key < limit) or len(jobs) >= min(_FOUND_MAX, len(self._takers) + 1):
                break
            if self._is_alone(state, taker, job):
                jobs[job.job] = job
        return jobs, seen

    def _is_alone(self, state: ModelState, taker: _Taker, job: Job) -> bool:
        """Whether no call was about a job or its key while this one was in flight, and none knew an older version."""
        if state.limit is not None and column(job, state.limit.column) is not None:
            return False
        if state.changed.get(job.job, 0) >= taker.oldest:
            return False
        return state.interests.is_quiet(of_job(job), taker.call.instant)

    def _tell(self, state: ModelState, passed: _Passed) -> Broken:
        jobs = list(passed.jobs.values())
        client, begun, step, taken = passed.client, passed.begun, passed.over, passed.taken
        if taken is None:
            assert self._complete is not None, "claims that found nothing are kept for this promise alone"
            over = PassedOver(client=client, begun=begun, jobs=jobs_seen(state, jobs))
            empty = Yet(FoundNothing(client=client, step=step))
            return self._complete.broken(state, jobs[0].job, over, NothingHadIt(), empty, step=step)
        assert self._ordered is not None, "claims that found something are kept for this promise alone"
        better, order = jobs_seen(state, jobs[:1]), tuple(self._order)
        over = PassedOver(client=client, begun=begun, jobs=better, taken=job_seen(state, taken), order=order)
        chose = Yet(Chose(client=client, job=taken.job, step=step, answered=True))
        return self._ordered.broken(state, taken.job, over, NothingHadIt(), chose, step=step)
