"""The stage of one simulation: its server, workers, service and witness, with the methods that a load uses.

`stage_opening` opens and closes it. The load's own measurements are kept in `measures`, `proofs` and `checks`.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from pgqmodel.client import Queue
from pgqmodel.client.recorder import Recorder, read_client_history
from pgqmodel.clock import ServerClock
from pgqmodel.errors import LostAnswerError, NoVerdictError, ServerGoneError
from pgqmodel.history import Draining, Event
from pgqmodel.operations import FINAL, LIVE, State
from pgqmodel.phrases import counted
from pgqmodel.server import LOST, Database, Server, SideConnection
from pgqmodel.simulation.crew import Crew, Life
from pgqmodel.simulation.deliveries import Answer
from pgqmodel.simulation.maintenance import maintain, reconnect
from pgqmodel.simulation.measures import Measures
from pgqmodel.simulation.nemesis import Nemesis
from pgqmodel.simulation.proof import Proofs
from pgqmodel.simulation.service_process import ServiceProcess
from pgqmodel.simulation.stream_judging import judge_streams
from pgqmodel.simulation.subscribers import SubscriberOptions
from pgqmodel.target import Target, read_state

__all__ = ["Stage"]

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 180.0


@define(kw_only=True, eq=False)
class Stage:
    """All that a load can use."""

    target: Target
    sizes: Mapping[str, int]
    server: Server
    database: Database
    side: SideConnection
    directory: Path
    crew: Crew
    nemesis: Nemesis
    service: ServiceProcess
    chance: random.Random
    measures: Measures
    tell_time: Callable[[], float] = time.time
    tell_phase: Callable[[str], object] = lambda phase: None
    proofs: Proofs = field(factory=Proofs)
    checks: dict[str, list[int]] = field(factory=dict)
    """For each check, how many times it passed and how many times it failed."""
    phases: list[tuple[float, str]] = field(factory=list)
    """The begin of each phase of the load."""
    wake_ups: dict[str, float] = field(factory=dict)
    """The jobs that were enqueued for an idle, listening crew, with the poll interval in seconds."""
    record: list[Event] = field(factory=list)
    nursery: trio.Nursery = field(init=False)
    """The tasks beside the load; they end with it."""
    _asking: trio.Lock = field(factory=trio.Lock)
    _files: list[Path] = field(factory=list)

    # -- what there is ---------------------------------------------------------------------------------------------

    def size(self, name: str) -> int:
        """One of the simulation's sizes."""
        return self.sizes[name]

    def has(self, operation: str) -> bool:
        """Whether the target has an operation."""
        return operation in self.target.operations

    @property
    def has_service(self) -> bool:
        """Whether the target has the HTTP service around it."""
        return self.target.name == "reference"

    @property
    def clock(self) -> ServerClock:
        """The server's clock, which stands still until it is moved."""
        clock = self.server.clock
        assert clock is not None, "this simulation does not run on a clock of ours"
        return clock

    @property
    def in_real_time(self) -> bool:
        """Whether the server uses real time."""
        return self.server.clock is None

    @property
    def turn(self) -> int:
        """The number of phases that have begun."""
        return len(self.phases)

    def begin(self, phase: str) -> None:
        """Begin a new phase of the load: it is marked on the time axis, and start delays are counted for each phase."""
        self.phases.append((self.tell_time(), phase))
        self.measures.mark(phase, at=time.time(), phase=True)
        self.tell_phase(phase)

    def check(self, name: str, passed: bool) -> None:
        """Count a check as passed or failed."""
        counts = self.checks.setdefault(name, [0, 0])
        counts[not passed] += 1

    # -- who takes part --------------------------------------------------------------------------------------------

    def start_workers(self, count: int, **changes: Any) -> list[Life]:
        """Start workers; `changes` replace their options."""
        return self.crew.start(count, **changes)

    @contextlib.asynccontextmanager
    async def producer(self, name: str) -> AsyncIterator[Queue]:
        """A client in our own process, with its own history; also used for maintenance, and to hold a lock."""
        path = self.directory / f"{name}.jsonl"
        self._files.append(path)
        recorder = Recorder(path, client=name, worker=name, clock=self.tell_time)
        try:
            how: dict[str, Any] = {"worker": name, "recorder": recorder, "clock": self.tell_time}
            async with Queue.connect(self.target, self.database.conninfo(), **how) as queue:
                yield queue
        finally:
            recorder.close()

    def maintain(self, *, every_seconds: float) -> None:
        """Start a task that reclaims the jobs of silent workers at intervals."""

        async def keep_on() -> None:
            async with self.producer("m1") as queue:
                await maintain(queue, every_seconds, self.chance)

        self.nursery.start_soon(keep_on)

    async def enqueue_surely(self, queue: Queue, payload: Mapping[str, Any], **fields: Any) -> str:
        """Enqueue until an enqueue is accepted, through lost connections; a try with a lost answer may count, too."""
        while True:
            try:
                job = await queue.enqueue(payload, **fields)
            except LostAnswerError:
                await reconnect(queue, self.chance)
            else:
                assert job is not None
                return job

    async def deliver(
        self, source: str, bodies: Sequence[tuple[str, Mapping[str, Any]]], *, at_once: int
    ) -> list[Answer]:
        """Send signed webhooks to the service, `at_once` at the same time."""
        return await self.service.deliver(source, bodies, at_once=at_once)

    async def subscribe(self, wanted: Sequence[SubscriberOptions]) -> None:
        """Start subscribers that follow the logs of their jobs until the streams end."""
        await self.service.subscribe(wanted, self.chance.randrange(1 << 30))

    async def finish_subscribers(self) -> None:
        """Wait until all streams have ended, and compare the received lines with the committed ones."""
        received, measures = await self.service.finish_subscribers()
        self.measures.merge(measures)
        await judge_streams(received, self.target, self.ask, self.proofs)

    def histories(self) -> list[list[Event]]:
        """The histories of the workers and of our own clients, and the events that the nemesis recorded."""
        files = [*self._files, *([self.service.history] if self.service.history.exists() else [])]
        ours = [list(read_client_history(path)) for path in files]
        done = sorted([*self.record, *self.nemesis.record], key=lambda event: event.at or 0.0)
        return [*(list(events) for events in self.crew.histories()), *ours, done]

    # -- looking ---------------------------------------------------------------------------------------------------

    async def ask(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """Query the database over a side connection, in another thread; wait while the server is down."""
        async with self._asking:
            with trio.move_on_after(PATIENCE_SECONDS):
                while True:
                    try:
                        return await trio.to_thread.run_sync(self.side.query, sql, parameters)
                    except (ServerGoneError, *LOST):
                        await trio.sleep(POLL_SECONDS)
                        with contextlib.suppress(*LOST):
                            await trio.to_thread.run_sync(self.side.reopen)
        message = (
            f"for {PATIENCE_SECONDS:g} s the database gave no answer to {' '.join(sql.split())}; expected the server "
            "to be back by then. Run it again; if it stays away, report it"
        )
        raise NoVerdictError(message)

    async def job_states(self) -> dict[State, int]:
        """The number of jobs in each state."""
        sql = f"SELECT state, count(*) AS jobs FROM ({self.target.observe.jobs}) AS seen GROUP BY state"
        counts: dict[State, int] = {}
        for row in await self.ask(sql):
            state = read_state(row["state"], self.target, "jobs")
            counts[state] = counts.get(state, 0) + int(row["jobs"])
        return counts

    async def count_jobs(self, states: Collection[State]) -> int:
        """The number of jobs that are in one of these states."""
        return sum(count for state, count in (await self.job_states()).items() if state in states)

    async def drain(self) -> None:
        """After the faults: wait until every job is final, for a limited time; the judge deals with the others."""
        self.record.append(Draining(step=0, at=self.tell_time()))
        deadline = trio.current_time() + PATIENCE_SECONDS
        while await self.count_jobs(LIVE):
            if trio.current_time() > deadline:
                self.measures.mark("not everything was finished", at=time.time())
                return
            await trio.sleep(POLL_SECONDS)

    async def reach(self, sql: str, parameters: tuple[Any, ...] = ()) -> None:
        """Wait until the first column of a query is true; NoVerdictError with the query if that takes too long."""

        async def is_so() -> bool:
            rows = await self.ask(sql, parameters)
            return bool(rows) and bool(next(iter(rows[0].values())))

        await self._wait_until(is_so, " ".join(sql.split()))

    async def reach_connected(self, lives: Sequence[Life]) -> None:
        """Wait until each of these workers has connected."""

        async def is_so() -> bool:
            return all(life.has_begun for life in lives)

        await self._wait_until(is_so, f"{counted(len(lives), 'worker')} connected")

    async def reach_running(self, jobs: int) -> None:
        """Wait until so many jobs are running at the same time."""

        async def is_so() -> bool:
            return await self.count_jobs({State.RUNNING}) >= jobs

        await self._wait_until(is_so, f"{counted(jobs, 'job')} running at once")

    async def reach_final(self, jobs: int) -> None:
        """Wait until so many jobs are final."""

        async def is_so() -> bool:
            return await self.count_jobs(FINAL) >= jobs

        await self._wait_until(is_so, f"{counted(jobs, 'job')} done")

    async def wait_started(self, job: str | None, *, poll_seconds: float) -> None:
        """Wait until a job is no longer pending: an idle crew that listens must start it before its next poll."""
        assert job is not None
        self.wake_ups[job] = poll_seconds
        words = [word for word, state in self.target.observe.states.items() if state is not State.PENDING]
        sql = f"SELECT EXISTS (SELECT FROM ({self.target.observe.jobs}) AS seen WHERE job = $1 AND state = ANY($2))"
        await self.reach(sql, (job, words))

    async def _wait_until(self, is_so: Callable[[], Awaitable[bool]], what: str) -> None:
        deadline = trio.current_time() + PATIENCE_SECONDS
        while not await is_so():
            if trio.current_time() > deadline:
                message = (
                    f"after {PATIENCE_SECONDS:g} s this was still not so: {what}; expected it to come about under the "
                    "load. Give it fewer jobs or workers; if the machine had time, that is a defect: report it"
                )
                raise NoVerdictError(message)
            await trio.sleep(POLL_SECONDS / 10)
