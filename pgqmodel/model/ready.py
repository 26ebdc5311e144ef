"""The jobs that were certainly ready to be claimed, and since when, in a recorded history of concurrent calls.

A job is ready when every client can see it: the call that made it pending has been answered, and so have the calls that
completed the jobs it waits for. Jobs are kept in the declared order, so the best one is found without a full scan.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

from pgqmodel.history import Job
from pgqmodel.model.state import ModelState
from pgqmodel.operations import State

__all__ = ["Ready", "sort_key"]

_COMPLETED, _PENDING = State.COMPLETED, State.PENDING

MARGIN_SECONDS = 0.01
"""A delayed job counts as ready so long after its time, because the clocks of clients and server may differ."""
LOOKED_AT_MAX = 64
_TEXT, _NUMBER, _NULL = 1, 0, 2


class _Down:
    """A text that sorts in descending order."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __lt__(self, other: _Down) -> bool:
        return self.text > other.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Down) and self.text == other.text

    __hash__ = None  # type: ignore[assignment]


def sort_key(job: Job, order: Sequence[tuple[str, str]]) -> tuple[Any, ...]:
    """The place of a job in an order; NULLs come last ascending and first descending, as in Postgres."""
    return tuple(
        _ranked(job.order[name] if name in job.order else getattr(job, name, None), direction == "desc")
        for name, direction in order
    )


def _ranked(value: Any, descending: bool) -> tuple[int, Any]:
    if value is None:
        return (-_NULL if descending else _NULL, 0)
    if isinstance(value, int | float):
        return (_NUMBER, -value if descending else value)
    return (_TEXT, _Down(str(value)) if descending else str(value))


class Ready:
    """The jobs that are ready, best first; jobs that wait for a time, a stage or another job are kept apart."""

    def __init__(self, order: Sequence[tuple[str, str]]) -> None:
        self.order = order
        self._heap: list[tuple[Any, int, str]] = []
        self._since: dict[str, tuple[int, int]] = {}
        self._later: list[tuple[float, int, str]] = []
        self._pushed = 0
        self._known: dict[str, tuple[str, int]] = {}
        """The run and the stage in which each job was counted last."""
        self._done: set[str] = set()
        self._open: dict[str, dict[int, int]] = {}
        self._held: dict[str, dict[int, dict[str, None]]] = {}
        self._waiting: dict[str, list[str]] = {}
        self._top: dict[str, int] = {}

    # -- what happens to jobs --------------------------------------------------------------------------------------

    def changed(self, state: ModelState, name: str, job: Job | None) -> None:
        """A commit changed a job: it is not known to be ready any more."""
        self._since.pop(name, None)
        was = self._known.get(name)
        if was is not None:
            self._held.get(was[0], {}).get(was[1], {}).pop(name, None)
        if job is None or job.run is None or job.stage is None:
            return
        if was != (job.run, job.stage):
            if was is not None and name not in self._done:
                self._open[was[0]][was[1]] -= 1
            self._known[name] = (job.run, job.stage)
            stages = self._open.setdefault(job.run, {})
            stages[job.stage] = stages.get(job.stage, 0) + (name not in self._done)
            if self._top.get(job.run, job.stage) > job.stage:
                self._close(state, job.run, job.stage)

    def _close(self, state: ModelState, run: str, stage: int) -> None:
        """A new job is of an earlier stage than ready jobs: these wait until it has completed."""
        self._top[run] = stage
        for name in state.members.get(run, ()):
            job = state.pending.get(name)
            if (
                job is not None
                and job.stage is not None
                and job.stage > stage
                and self._since.pop(name, None) is not None
            ):
                self._held.setdefault(run, {}).setdefault(job.stage, {})[name] = None

    def confirm(self, state: ModelState, name: str, instant: int) -> None:
        """The call that changed a job was answered: after `instant` every client sees the change."""
        job = state.known(name)
        if job is None:
            return
        if job.state is _PENDING and name in state.jobs:
            self._place(state, job, instant)
        elif job.state is _COMPLETED and name not in self._done:
            self._complete(state, job, instant)

    def _complete(self, state: ModelState, job: Job, instant: int) -> None:
        self._done.add(job.job)
        for waiting in self._waiting.pop(job.job, ()):
            known = state.pending.get(waiting)
            if known is not None and waiting not in self._since:
                self._place(state, known, instant)
        if job.job not in self._known:
            return
        run, own = self._known[job.job]
        stages = self._open[run]
        stages[own] -= 1
        if not stages[own]:
            for stage, held in self._held.get(run, {}).items():
                if held and self._is_open(run, stage):
                    names = list(held)
                    held.clear()
                    for name in names:
                        self._place(state, state.pending[name], instant)

    def _is_open(self, run: str, stage: int) -> bool:
        return not any(number < stage and count for number, count in self._open.get(run, {}).items())

    def _place(self, state: ModelState, job: Job, instant: int) -> None:
        if state.attempts_max is not None and len(state.claims.get(job.job, ())) >= state.attempts_max:
            return
        if job.run is not None and job.stage is not None:
            if not self._is_open(job.run, job.stage):
                self._held.setdefault(job.run, {}).setdefault(job.stage, {})[job.job] = None
                return
            self._top[job.run] = max(self._top.get(job.run, job.stage), job.stage)
        missing = [name for name in job.needs if name not in self._done]
        if missing:
            self._waiting.setdefault(missing[0], []).append(job.job)
            return
        self._pushed += 1
        self._since[job.job] = (self._pushed, instant)
        if job.eligible_at is not None and job.eligible_at + MARGIN_SECONDS > state.now:
            heapq.heappush(self._later, (job.eligible_at + MARGIN_SECONDS, self._pushed, job.job))
        else:
            heapq.heappush(self._heap, (sort_key(job, self.order), self._pushed, job.job))

    # -- questions -------------------------------------------------------------------------------------------------

    def look(self, state: ModelState, at: float, instant: int) -> None:
        """A claim begins: delayed jobs that are due count as ready since the instant before."""
        later = self._later
        while later and later[0][0] <= at:
            _, token, name = heapq.heappop(later)
            known = self._since.get(name, (0, 0))
            if known[0] == token and name in state.pending:
                self._since[name] = (token, max(known[1], instant - 1))
                heapq.heappush(self._heap, (sort_key(state.pending[name], self.order), token, name))

    def best(self, state: ModelState, before: int) -> Iterator[tuple[Any, Job]]:
        """The jobs that have been ready since before an instant, best first, with their place in the order."""
        heap = self._heap
        back: list[tuple[Any, int, str]] = []
        try:
            while heap and len(back) < LOOKED_AT_MAX:
                key, token, name = heapq.heappop(heap)
                known = self._since.get(name)
                job = state.pending.get(name)
                if known is None or known[0] != token or job is None:
                    continue
                back.append((key, token, name))
                if known[1] < before and not state.is_gated(job):
                    yield key, job
        finally:
            for entry in back:
                heapq.heappush(heap, entry)
