"""Looking at the database over a connection of our own: the difference to the last look, in the story's names.

Jobs are named J1, J2, ... in the order in which they appear, so the same schedule tells the same story, even if the
queue's identifiers are random.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import evolve

from pgqmodel.history import Job, Observed
from pgqmodel.horizon import is_beyond
from pgqmodel.operations import State
from pgqmodel.target import plain, read_jobs, read_state, read_whole, reads_locks

if TYPE_CHECKING:
    from pgqmodel.clock import ServerClock
    from pgqmodel.server import SideConnection
    from pgqmodel.server.fallback import FallbackClock
    from pgqmodel.target import Target

__all__ = ["Names", "Observer"]

Rows = list[dict[str, Any]]


class Names:
    """The story's names for the queue's job identifiers."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._identifiers: dict[str, str] = {}

    def name(self, identifier: Any) -> str:
        """The story's name of a job; a new job gets the next name."""
        key = str(identifier)
        if key not in self._names:
            name = f"J{len(self._names) + 1}"
            self._names[key] = name
            self._identifiers[name] = key
        return self._names[key]

    @property
    def identifiers(self) -> dict[str, str]:
        """The queue's identifier of every job that the story knows, by its name."""
        return dict(self._identifiers)

    def identifier(self, name: str) -> str | None:
        """The queue's identifier of a job, by the story's name; None for an unknown name."""
        return self._identifiers.get(name)


class Observer:
    """The last result of each of the target's observe queries, and the difference of a new result to it."""

    def __init__(self, target: Target, side: SideConnection, clock: ServerClock | FallbackClock) -> None:
        self._target = target
        self._clock = clock
        self._side = side
        self._queries = {query: sql for query in _READERS if (sql := getattr(target.observe, query)) is not None}
        self.reads_locks = reads_locks(target.observe.jobs, [script.sql for script in target.setup])
        """Whether the jobs query reads locks; then its result can change without a commit."""
        self._asked = {f"{target.source}: observe.{query}": sql for query, sql in self._queries.items()}
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new story begins."""
        self.names = Names()
        self._due: dict[float, float] = {}
        self.jobs: dict[str, Job] = {}
        self._raw: dict[str, Rows] = {}
        self._seen: dict[str, dict[str, Any]] = {}

    def look(self, *, step: int, by: tuple[int, ...]) -> Observed | None:
        """Look once; return the changes, or None if nothing changed."""
        answers = self._side.query_all(self._asked)
        asked = zip(self._queries, answers, strict=True)
        differences: dict[str, Any] = {query: self._difference(query, rows) for query, rows in asked}
        if not any(differences.values()):
            return None
        return Observed(step=step, by=by, **differences)

    def _difference(self, query: str, rows: Rows) -> dict[str, Any]:
        if rows == self._raw.get(query):
            return {}
        self._raw[query] = rows
        before, now = self._seen.get(query, {}), _READERS[query](self, rows)
        self._seen[query] = now
        gone = {key: () if query == "logs" else None for key in before if key not in now}
        return {key: value for key, value in now.items() if before.get(key) != value} | gone

    def _read_jobs(self, rows: Rows) -> dict[str, Job]:
        found = read_jobs(rows, self._target, self._side.zone)
        names = [self.names.name(job.job) for job in found]  # rows first: a job may need a later one
        jobs = [
            evolve(
                job,
                job=name,
                needs=tuple(map(self.names.name, job.needs)),
                eligible_at=self._exact(job.eligible_at),
                lease_until=self._exact(job.lease_until),
            )
            for name, job in zip(names, found, strict=True)
        ]
        self.jobs = {job.job: job for job in jobs}
        return self.jobs

    def _exact(self, moment: float | None) -> float | None:
        """Convert a moment of a row, such as the end of a lease, from the server's time to the story's time.

        The server's clock is ahead of the story's by its ticks, one for each unit, and a moment that the server made
        contains some of them. They are taken off. That is not too early, because the server's clock will have passed
        the moment itself by then. A moment that was converted once keeps its value.
        """
        now_us = self._clock.now_us
        if moment is None or not math.isfinite(moment) or is_beyond(moment, now_us / 1e6):
            return moment
        ahead = (round(moment * 1e6) - now_us) % 1000
        exact = (round(moment * 1e6) - ahead) / 1e6 if 0 < ahead <= self._clock.ticks else moment
        return self._due.setdefault(moment, exact)

    def _read_runs(self, rows: Rows) -> dict[str, State]:
        return {str(row["run"]): read_state(row["state"], self._target, "runs") for row in rows}

    def _read_environments(self, rows: Rows) -> dict[str, Any]:
        return {str(row["environment"]): plain(row["version"], self._side.zone) for row in rows}

    def _read_logs(self, rows: Rows) -> dict[str, tuple[tuple[int, str], ...]]:
        logs: dict[str, tuple[tuple[int, str], ...]] = {}
        for row in rows:
            job = self.names.name(row["job"])
            number = read_whole(row["sequence"], self._target, "logs: sequence")
            logs[job] = (*logs.get(job, ()), (number, str(row["line"])))
        return logs


_READERS: dict[str, Callable[[Observer, Rows], dict[str, Any]]] = {
    "jobs": Observer._read_jobs,
    "runs": Observer._read_runs,
    "environments": Observer._read_environments,
    "logs": Observer._read_logs,
}
