"""What a simulation costs its machine: CPU and memory of its processes by group, and sessions that wait for locks."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import psutil
import trio
from attrs import define, field

from pgqmodel.simulation.measures import Measures

__all__ = ["LOCK_WAITS", "Sampler", "descendants"]

LOCK_WAITS = """
SELECT pg_catalog.count(*) AS waiting FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND wait_event_type = 'Lock'
"""
"""Counts the sessions that wait for a lock; whoever has a side connection asks it."""
_INTERVAL_SECONDS = 0.25
_SECONDS_A_PROCESS = 0.005
"""To look at a process takes time from what is looked at: so it is done the more seldom, the more there are."""
_ASK_SECONDS_MAX = 2.0

Groups = Callable[[], Mapping[str, Iterable[int]]]


@define(kw_only=True)
class Sampler:
    """Samples into `cpu_percent.GROUP`, `rss_bytes.GROUP` and `lock_waits` until it is cancelled.

    `groups` gives the processes that are alive now: workers die and come back, and Postgres has a backend a session.
    `lock_waits` answers how many sessions wait for a lock, or None while the server is gone.
    """

    measures: Measures
    groups: Groups
    lock_waits: Callable[[], Awaitable[int | None]] | None = None
    interval: float = _INTERVAL_SECONDS
    _seen: dict[int, Any] = field(factory=dict)
    """A process's CPU percentage is counted since it was last asked, so that it must be the same object."""

    async def run(self) -> None:
        """Sample for ever; a Trio task. A sampling that came too late is not caught up."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, self._sample_processes)
            if self.lock_waits is not None:
                nursery.start_soon(self._watch, self._sample_waits)

    async def _watch(self, sample: Callable[[], Awaitable[None]]) -> None:
        while True:
            began = trio.current_time()
            await sample()
            interval = max(self.interval, len(self._seen) * _SECONDS_A_PROCESS)
            await trio.sleep_until(max(began + interval, trio.current_time()))

    async def sample(self) -> None:
        """Sample once, everything."""
        await self._sample_processes()
        if self.lock_waits is not None:
            await self._sample_waits()

    async def _sample_processes(self) -> None:
        groups = {name: list(pids) for name, pids in self.groups().items()}
        found = await trio.to_thread.run_sync(self._look, groups)
        now = time.time()
        for name, (percent, rss) in found.items():
            if not groups[name] and f"cpu_percent.{name}" not in self.measures.series:
                continue  # nobody of this group was ever there: no figure, which is not the same as zero
            self.measures.sample(f"cpu_percent.{name}", percent, at=now)
            self.measures.sample(f"rss_bytes.{name}", rss, at=now)

    async def _sample_waits(self) -> None:
        assert self.lock_waits is not None
        waiting = None
        with trio.move_on_after(_ASK_SECONDS_MAX):
            waiting = await self.lock_waits()
        if waiting is not None:
            self.measures.sample("lock_waits", waiting, at=time.time())

    def _look(self, groups: Mapping[str, list[int]]) -> dict[str, tuple[float, int]]:
        """CPU percent of one core and resident bytes of each group, in a thread of its own: /proc takes its time."""
        totals = {}
        alive = set()
        for name, pids in groups.items():
            percent, rss = 0.0, 0
            for pid in pids:
                figures = self._figures(pid)
                if figures is not None:
                    alive.add(pid)
                    percent += figures[0]
                    rss += figures[1]
            totals[name] = (percent, rss)
        self._seen = {pid: process for pid, process in self._seen.items() if pid in alive}
        return totals

    def _figures(self, pid: int) -> tuple[float, int] | None:
        """The figures of one process, None if it is gone."""
        try:
            process = self._seen.get(pid)
            if process is None or not process.is_running():
                process = self._seen[pid] = psutil.Process(pid)
                process.cpu_percent()
            with process.oneshot():
                return process.cpu_percent(), process.memory_info().rss
        except psutil.Error:
            self._seen.pop(pid, None)
            return None


def descendants(pid: int) -> list[int]:
    """A process and all below it, as a postmaster and its backends; nothing if it is gone."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.Error:
        return []
