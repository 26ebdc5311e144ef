"""Claims of a recorded history that passed over a job: what `claim-order` and `claim-complete` judge there.

There is no snapshot to look into. So a claim is accused of passing over a job only if every order that is possible
agrees: the job was ready before the claim began and after it had ended, and no call that was in flight meanwhile could
have had it locked. Each of those calls ended, and ended well; it had not touched the job; and it had not begun before
the job was last changed. (At READ COMMITTED a call locks the row that its snapshot showed it, looks at it again, and
leaves it locked even if it takes another one.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attrs import define, evolve

from pgqmodel.history import Job, Observed
from pgqmodel.model.change import Call, Change
from pgqmodel.model.eligible import column
from pgqmodel.model.ready import Ready, sort_key
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import listed, tell_job
from pgqmodel.model.transitions import Meaning
from pgqmodel.operations import Status
from pgqmodel.promises.promise import Broken, Promise, Watcher
from pgqmodel.promises.value import Order

__all__ = ["LINGER_SECONDS", "PassingOver"]

LINGER_SECONDS = 30.0
"""For so long after its client has died a statement may go on in the server and hold what it locked."""
_TAKERS = frozenset({"claim", "reclaim", "cancel"})
_FAILED = frozenset({Status.ERROR, Status.UNKNOWN})
_FOUND_MAX = 16


@define(eq=False)
class _Passed:
    """A claim that passed over jobs, until it is known whether somebody had them locked."""

    client: str
    begun: int
    over: int
    taken: Job | None
    jobs: dict[str, Job]


@define(eq=False)
class _Taker:
    """A call in flight that takes or locks jobs."""

    call: Call
    oldest_step: int
    """When the oldest of those in flight with it had begun."""
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
        self._touched: dict[int, list[str]] = {}
        self._passed: deque[_Passed] = deque()
        self._watched: dict[str, list[_Passed]] = {}
        self._changed: dict[str, int] = {}
        """When a job that had been there was changed last."""
        self._failed_step = 0
        self._blind_until = float("-inf")

    def hold_to_order(self, promise: Promise, order: Order) -> None:
        """Accuse whoever takes a job that is not the best."""
        self._ordered, self._order = promise, order
        self._ready = Ready(order)

    def hold_to_completeness(self, promise: Promise) -> None:
        """Accuse whoever finds nothing where something is."""
        self._complete = promise

    # -- what happens ----------------------------------------------------------------------------------------------

    def invoked(self, state: ModelState, call: Call) -> None:
        """A call that may lock jobs is in flight."""
        if call.operation not in _TAKERS:
            return
        oldest = next(iter(self._takers.values()), None)
        self._takers[call.number] = _Taker(call, oldest.call.step if oldest is not None else call.step)
        if call.operation == "claim":
            self._ready.look(state, state.now, call.step)
        self._give_up_waiting(state)

    def observed(self, state: ModelState, event: Observed, changes: Sequence[Change]) -> None:
        """What changed is not ready any more, and whoever has just changed it may have had it locked before."""
        for change in changes:
            call = change.call
            if change.before is not None:
                self._changed[change.job] = state.step
            if change.meaning is not Meaning.REWRITTEN or change.before is None:
                self._ready.changed(state, change.job, change.after or change.before)
            if call is not None:
                self._touched.setdefault(call.number, []).append(change.job)
                taker = self._takers.get(call.number)
                if change.meaning is Meaning.CLAIMED and taker is not None and taker.found is None:
                    taker.found = change.before
            for passed in self._watched.pop(change.job, ()):
                if call is None or call.step < passed.over:
                    passed.jobs.pop(change.job, None)

    def returned(self, state: ModelState, call: Call) -> Iterator[Broken]:
        """What a call changed is seen by everybody from now on; claims that waited for its end can be judged."""
        for name in self._touched.pop(call.number, ()):
            self._ready.confirm(state, name, state.step)
        taker = self._takers.pop(call.number, None)
        if taker is None:
            return
        if call.status in _FAILED:
            self._failed_step = state.step
            self._drop_after(call.step)
        elif call.operation == "claim":
            self._look_past(state, taker)
        yield from self._decided(state)

    def lost(self, state: ModelState, call: Call) -> None:
        """Nobody knows how a call ended that may have held jobs locked."""
        if self._takers.pop(call.number, None) is not None:
            self._blind_until = max(self._blind_until, state.now + LINGER_SECONDS)
            self._drop_after(call.step)

    # -- which claims can be judged --------------------------------------------------------------------------------

    def _decided(self, state: ModelState) -> Iterator[Broken]:
        """The claims that nobody in flight could excuse any more."""
        oldest = next(iter(self._takers.values()), None)
        while self._passed and (oldest is None or oldest.call.step > self._passed[0].over):
            passed = self._passed.popleft()
            for name in passed.jobs:
                watching = self._watched.get(name)
                if watching is not None and passed in watching:
                    watching.remove(passed)
            if passed.jobs:
                yield self._tell(state, passed)

    def _drop_after(self, step: int) -> None:
        """Forget what claims passed over that ended after `step`: somebody may have had it locked."""
        while self._passed and self._passed[-1].over > step:
            self._passed.pop()

    def _give_up_waiting(self, state: ModelState) -> None:
        """A call that has been in flight for long will not be waited for."""
        oldest = next(iter(self._takers.values())).call
        if oldest.started_at is not None and state.now - oldest.started_at > LINGER_SECONDS:
            self.lost(state, oldest)

    def _look_past(self, state: ModelState, taker: _Taker) -> None:
        """Keep in mind what a claim passed over, if that can be judged at all."""
        call, taken = taker.call, taker.found
        promise = self._complete
        if taken is not None and call.status is Status.OK:
            promise = self._ordered
        elif call.status is not Status.EMPTY or call.took:
            return
        if promise is None or self._failed_step > call.step or (call.started_at or 0.0) < self._blind_until:
            return
        ordered = promise is self._ordered
        limit = sort_key(taken, self._order) if taken is not None and ordered else None
        jobs, seen = self._better(state, taker, limit)
        if limit is None or seen:
            self.count(promise.name)
        if jobs:
            passed = _Passed(call.client, call.step, state.step, taken if ordered else None, jobs)
            self._passed.append(passed)
            for name in jobs:
                self._watched.setdefault(name, []).append(passed)

    def _better(self, state: ModelState, taker: _Taker, limit: Any) -> tuple[dict[str, Job], bool]:
        """The jobs before `limit` that were ready all the time and nobody could have locked; and if any was ready."""
        jobs: dict[str, Job] = {}
        seen = False
        for key, job in self._ready.best(state, taker.call.step):
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
        if self._changed.get(job.job, 0) > taker.oldest_step:
            return False
        subjects = [f"job {job.job}", *([f"key {job.unique_key}"] if job.unique_key is not None else ())]
        return all(state.interests.was_left_alone(subject, taker.call.step) for subject in subjects)

    def _tell(self, state: ModelState, passed: _Passed) -> Broken:
        jobs = list(passed.jobs.values())
        span = f"{passed.client}'s claim (begun at step {passed.begun})"
        alone = "Nobody who was in flight meanwhile had it, as their ends show."
        if passed.taken is None:
            assert self._complete is not None, "claims that found nothing are kept for this promise alone"
            told = f"{listed(jobs)} could be claimed from before {span} until after it."
            yet = f"Yet it found nothing at step {passed.over}."
            return evolve(self._complete.broken(state, jobs[0].job, told, alone, yet), step=passed.over)
        assert self._ordered is not None, "claims that found something are kept for this promise alone"
        order = ", ".join(f"{name} {direction}" for name, direction in self._order)
        told = (
            f"{tell_job(jobs[0])} could be claimed from before {span} until after it, and comes before "
            f"{tell_job(passed.taken)} by {order}."
        )
        yet = f"Yet it took {passed.taken.job}, and was answered at step {passed.over}."
        return evolve(self._ordered.broken(state, passed.taken.job, told, alone, yet), step=passed.over)
