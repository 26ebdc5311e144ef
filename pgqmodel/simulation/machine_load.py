"""The load of a simulation on its machine: CPU and memory of groups of processes, and sessions that wait for locks."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import psutil
import trio
from attrs import define, field

from pgqmodel.simulation.measures import Measures

__all__ = ["LOCK_WAITS", "Sampler"]

LOCK_WAITS = """
SELECT pg_catalog.count(*) AS waiting FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND wait_event_type = 'Lock'
"""
"""Counts the sessions that wait for a lock; run on a side connection."""
_INTERVAL_SECONDS = 0.25
_SECONDS_A_PROCESS = 0.005
"""The time per process between two samples: sampling takes CPU from the load, so many processes are sampled rarely."""
_ASK_SECONDS_MAX = 2.0

Groups = Callable[[], Mapping[str, Iterable[int]]]


@define(kw_only=True)
class Sampler:
    """Samples into `cpu_percent.GROUP`, `rss_bytes.GROUP` and `lock_waits` until it is cancelled.

    `groups` gives the living processes: workers die and come back, and Postgres has a backend for each session.
    `lock_waits` answers how many sessions wait for a lock, or None while the server is gone.
    """

    measures: Measures
    groups: Groups
    lock_waits: Callable[[], Awaitable[int | None]] | None = None
    interval: float = _INTERVAL_SECONDS
    _seen: dict[int, Any] = field(factory=dict)
    """The processes by number. psutil counts CPU since the last query of the same object, so objects are kept."""

    async def run(self) -> None:
        """Sample for ever; a Trio task. Samples that were missed are not made up for."""
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
        """Take one sample of everything."""
        await self._sample_processes()
        if self.lock_waits is not None:
            await self._sample_waits()

    async def _sample_processes(self) -> None:
        groups = {name: list(pids) for name, pids in self.groups().items()}
        found = await trio.to_thread.run_sync(self._look, groups)
        now = time.time()
        for name, (percent, rss) in found.items():
            if not groups[name] and f"cpu_percent.{name}" not in self.measures.series:
                continue  # this group never had a process: it gets no figure, which is not the same as 0
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
        """CPU percent of one core and resident bytes of each group. Run in a thread, because /proc is slow."""
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
        """The figures of one process; None if it is gone. Its CPU counts from the first look on, which finds 0."""
        try:
            process = self._seen.get(pid)
            if process is None or not process.is_running():
                process = self._seen[pid] = psutil.Process(pid)
            with process.oneshot():
                return process.cpu_percent(), process.memory_info().rss
        except psutil.Error:
            self._seen.pop(pid, None)
            return None
