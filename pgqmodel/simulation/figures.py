"""Figures from a history: latencies of every operation, waits between commits, fairness, the order of locks.

They are read from the merged history. So the delay of a claim is the time from the commit of the enqueue to the commit
of the claim, both by the server's clock. One pass; nothing is judged here.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define, field

from pgqmodel.history import Event, Invoked, Observed, Restarted, Returned
from pgqmodel.operations import CLAIM, COMPLETE, FINAL, HEARTBEAT, LOCK, RECLAIM, State, Status
from pgqmodel.simulation.measures import Measures

__all__ = ["Reader", "fairness"]


@define
class _Life:
    """One job so far. `beat_at` is the time at which its holder's last heartbeat began."""

    born_at: float
    free_to_start: bool
    state: State
    beat_at: float | None = None
    claimed_at: float | None = None
    given_back_at: float | None = None


@define
class _Asking:
    """A claim's wait for its deploy lock: its begin, and the number of refusals."""

    since: float
    refused: int = 0


@define(kw_only=True)
class Reader:
    """Fills measures from the events of a history, one by one."""

    measures: Measures
    phases: Sequence[tuple[float, str]] = ()
    """The begin of each phase of the load. Start delays are counted by the phase in which a job was enqueued."""
    curves: bool = True
    """Whether the history has real times, so that figures can be shown over time."""
    started: dict[str, float] = field(factory=dict)
    """For each job, the time from the commit of its enqueue to the commit of its first claim."""
    rested: dict[str, float] = field(factory=dict)
    """For each job, the rest of the worker before the first claim: the time since its previous claim's answer."""
    idle_at_birth: set[str] = field(factory=set)
    """The jobs whose enqueue committed while a worker rested."""
    jobs: dict[str, _Life] = field(factory=dict)
    completed_by: dict[str, int] = field(factory=dict)
    """The number of jobs that each worker completed."""
    grants: dict[str, list[int]] = field(factory=dict)
    """For each environment, the claims that were granted its lock, in the order of the grants."""
    asked: dict[str, list[int]] = field(factory=dict)
    """For each environment, the claims that asked for its lock, in the order of their first try."""
    _calls: dict[int, Invoked] = field(factory=dict)
    _asking: dict[tuple[str, int | None], _Asking] = field(factory=dict)
    _resting: dict[str, float] = field(factory=dict)
    """The clients whose last claim found nothing, with the begin of their rest."""
    _down_since: float | None = None
    """The time of the server's kill; None again after the first job completed since."""

    def __attrs_post_init__(self) -> None:
        """Set counters to 0, because an event that never happened was looked for, too."""
        for state in FINAL:
            self.measures.count(state.value, 0)

    def take(self, event: Event) -> None:
        """Take in the next event of a history."""
        read = _READ.get(type(event))
        if read is not None and event.at is not None:
            read(self, event, event.at)

    def _axis(self, at: float) -> float | None:
        """The place of a time on the time axis; None if the history has no real times."""
        return at if self.curves else None

    # -- calls -----------------------------------------------------------------------------------------------------

    def _invoked(self, event: Invoked, at: float) -> None:
        self._calls[event.call] = event
        if event.operation == LOCK.name:
            key = (event.client, event.claim)
            if key not in self._asking:
                self._asking[key] = _Asking(since=at)
                self.asked.setdefault(_environment(event), []).append(event.claim or 0)

    def _returned(self, event: Returned, at: float) -> None:
        call = self._calls.pop(event.call, None)
        if call is None or call.at is None:
            return
        self.measures.count(f"{call.operation}_{event.status.value}")
        if event.status in {Status.OK, Status.EMPTY, Status.REFUSED}:
            name = call.operation if event.status is Status.OK else f"{call.operation}_{event.status.value}"
            self.measures.record(name, at - call.at, at=self._axis(at))
        if call.operation == CLAIM.name:
            self._resting.pop(call.client, None)
            if event.status is Status.EMPTY:
                self._resting[call.client] = at
        if call.operation == COMPLETE.name and event.status is Status.OK:
            self.completed_by[call.worker] = self.completed_by.get(call.worker, 0) + 1
        if call.operation == HEARTBEAT.name and event.status is Status.OK:
            self._beat(call, call.at)
        if call.operation == LOCK.name:
            self._asked(call, event, at)

    def _asked(self, call: Invoked, event: Returned, at: float) -> None:
        """A worker got a deploy lock, or was refused and has to ask again."""
        asking = self._asking.get((call.client, call.claim))
        if asking is None:
            return
        if event.status is not Status.OK:
            asking.refused += 1
            return
        del self._asking[call.client, call.claim]
        self.grants.setdefault(_environment(call), []).append(call.claim or 0)
        self.measures.record("lock_wait", at - asking.since, at=self._axis(at))
        self.measures.count("lock_grants")
        self.measures.count("lock_retries", asking.refused)

    def _beat(self, call: Invoked, at: float) -> None:
        """A holder sent a heartbeat."""
        life = self.jobs.get(call.job or "")
        self.measures.count("heartbeats", at=self._axis(at))
        if life is not None and life.beat_at is not None:
            self.measures.record("beat_interval", at - life.beat_at, at=self._axis(at))
            life.beat_at = at

    def _restarted(self, event: Restarted, at: float) -> None:
        self._down_since = at if self._down_since is None else self._down_since

    # -- commits ---------------------------------------------------------------------------------------------------

    def _observed(self, event: Observed, at: float) -> None:
        call = self._calls.get(event.by[0]) if event.by else None
        for name, job in event.jobs.items():
            if job is None:
                continue
            life = self.jobs.get(name)
            if life is None:
                free = job.stage is None and not job.needs
                self.jobs[name] = _Life(at, free_to_start=free, state=job.state)
                self.measures.count("enqueued", at=self._axis(at))
                if self._resting:
                    self.idle_at_birth.add(name)
                continue
            was, life.state = life.state, job.state
            move = _MOVES.get((was, job.state))
            if move is not None:
                move(self, name, life, call, at)

    def _claimed(self, name: str, life: _Life, call: Invoked | None, at: float) -> None:
        if life.claimed_at is None and call is not None and call.at is not None and call.client in self._resting:
            self.rested[name] = call.at - self._resting[call.client]
        if life.claimed_at is None and life.free_to_start:
            self.started[name] = at - life.born_at
            self.measures.record("start_delay", at - life.born_at, at=self._axis(at))
            phase = bisect.bisect(self.phases, (life.born_at, "\U0010ffff")) - 1
            if phase >= 0:
                self.measures.record(f"start_delay: {self.phases[phase][1]}", at - life.born_at)
        if life.given_back_at is not None:
            self.measures.record("pick_up_delay", at - life.given_back_at, at=self._axis(at))
        life.claimed_at = at
        life.beat_at = call.at if call is not None else at
        self.measures.count("claimed", at=self._axis(at))

    def _given_back(self, name: str, life: _Life, call: Invoked | None, at: float) -> None:
        life.given_back_at = at
        if life.beat_at is not None and call is not None and call.operation == RECLAIM.name:
            self.measures.record("silence_before_return", at - life.beat_at, at=self._axis(at))
            self.measures.count("reclaimed", at=self._axis(at))

    def _finished(self, name: str, life: _Life, call: Invoked | None, at: float) -> None:
        if life.claimed_at is not None:
            self.measures.record("run_time", at - life.claimed_at, at=self._axis(at))
        if self._down_since is not None and life.state is State.COMPLETED:
            self.measures.record("recovery_time", at - self._down_since, at=self._axis(at))
            self._down_since = None
        self.measures.record("job_time", at - life.born_at, at=self._axis(at))
        self.measures.count(life.state.value, at=self._axis(at))


def fairness(shares: Iterable[int]) -> float | None:
    """Jain's index of some shares: 1 if all are equal, 1/n if one has everything (Jain, Chiu and Hawe 1984)."""
    counts = list(shares)
    squares = sum(count * count for count in counts)
    return sum(counts) ** 2 / (len(counts) * squares) if squares else None


def _environment(call: Invoked) -> str:
    return str(call.arguments.get("environment"))


_READ: dict[type[Event], Callable[[Reader, Any, float], None]] = {
    Invoked: Reader._invoked,
    Returned: Reader._returned,
    Observed: Reader._observed,
    Restarted: Reader._restarted,
}
_MOVES: dict[tuple[State, State], Callable[[Reader, str, _Life, Invoked | None, float], None]] = {
    (State.PENDING, State.RUNNING): Reader._claimed,
    (State.RUNNING, State.PENDING): Reader._given_back,
    **{(was, final): Reader._finished for was in (State.PENDING, State.RUNNING) for final in FINAL},
}
