"""The stage: the server, the workers, the service and the witness of one simulation, and what a load may do with them.

It is opened and closed in `stage_opening`; what the load measured by itself is kept in `measures`, `proofs` and
`checks`.
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
    """Everything that a load can use."""

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
    """How often each check passed and failed."""
    phases: list[tuple[float, str]] = field(factory=list)
    """When each phase of the load began."""
    wake_ups: dict[str, float] = field(factory=dict)
    """The jobs that an idle, listening crew was to start within so many seconds."""
    record: list[Event] = field(factory=list)
    nursery: trio.Nursery = field(init=False)
    """What goes on beside the load, until the load is over."""
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
        """Whether the server's time is everybody's."""
        return self.server.clock is None

    @property
    def turn(self) -> int:
        """How many phases have begun."""
        return len(self.phases)

    def begin(self, phase: str) -> None:
        """A new phase of the load begins: it is marked on the time axis, and start delays are kept apart by it."""
        self.phases.append((self.tell_time(), phase))
        self.measures.mark(phase, at=time.time(), phase=True)
        self.tell_phase(phase)

    def check(self, name: str, passed: bool) -> None:
        """Count a check, as load tools do."""
        counts = self.checks.setdefault(name, [0, 0])
        counts[not passed] += 1

    # -- who takes part --------------------------------------------------------------------------------------------

    def start_workers(self, count: int, **changes: Any) -> list[Life]:
        """Start workers; `changes` replace their options."""
        return self.crew.start(count, **changes)

    @contextlib.asynccontextmanager
    async def producer(self, name: str) -> AsyncIterator[Queue]:
        """A client of our own process, with a history of its own; also for maintenance, and to hold a lock."""
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
        """From now on somebody takes back, so often, what the silent hold."""

        async def keep_on() -> None:
            async with self.producer("m1") as queue:
                await maintain(queue, every_seconds, self.chance)

        self.nursery.start_soon(keep_on)

    async def enqueue_surely(self, queue: Queue, payload: Mapping[str, Any], **fields: Any) -> str:
        """Enqueue until it is acknowledged, through lost connections; what was not may be there or not."""
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
        """Send signed webhooks to the service, so many at once."""
        return await self.service.deliver(source, bodies, at_once=at_once)

    async def subscribe(self, wanted: Sequence[SubscriberOptions]) -> None:
        """Let subscribers follow their jobs' logs until the streams end."""
        await self.service.subscribe(wanted, self.chance.randrange(1 << 30))

    async def finish_subscribers(self) -> None:
        """Wait for the ends of all streams, and hold what came against what was committed."""
        received, measures = await self.service.finish_subscribers()
        self.measures.merge(measures)
        await judge_streams(received, self.target, self.ask, self.proofs)

    def histories(self) -> list[list[Event]]:
        """What everybody saw: the workers, our own clients, and what the nemesis did."""
        files = [*self._files, *([self.service.history] if self.service.history.exists() else [])]
        ours = [list(read_client_history(path)) for path in files]
        done = sorted([*self.record, *self.nemesis.record], key=lambda event: event.at or 0.0)
        return [*(list(events) for events in self.crew.histories()), *ours, done]

    # -- looking ---------------------------------------------------------------------------------------------------

    async def ask(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """Ask the database from the side, off this thread; while the server is down, once it is back."""
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
        """How many jobs are in which state."""
        sql = f"SELECT state, count(*) AS jobs FROM ({self.target.observe.jobs}) AS seen GROUP BY state"
        counts: dict[State, int] = {}
        for row in await self.ask(sql):
            state = read_state(row["state"], self.target, "jobs")
            counts[state] = counts.get(state, 0) + int(row["jobs"])
        return counts

    async def count_jobs(self, states: Collection[State]) -> int:
        """How many jobs are in one of these states."""
        return sum(count for state, count in (await self.job_states()).items() if state in states)

    async def drain(self) -> None:
        """Faults have stopped: wait until every job is final; one that never is, is the judge's business."""
        self.record.append(Draining(step=0, at=self.tell_time()))
        deadline = trio.current_time() + PATIENCE_SECONDS
        while await self.count_jobs(LIVE):
            if trio.current_time() > deadline:
                self.measures.mark("not everything was finished", at=time.time())
                return
            await trio.sleep(POLL_SECONDS)

    async def reach(self, sql: str, parameters: tuple[Any, ...] = ()) -> None:
        """Wait until a query's first column is true; NoVerdictError with the query if it never is."""

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
        """Wait until so many jobs run at once."""

        async def is_so() -> bool:
            return await self.count_jobs({State.RUNNING}) >= jobs

        await self._wait_until(is_so, f"{counted(jobs, 'job')} running at once")

    async def reach_final(self, jobs: int) -> None:
        """Wait until so many jobs are final."""

        async def is_so() -> bool:
            return await self.count_jobs(FINAL) >= jobs

        await self._wait_until(is_so, f"{counted(jobs, 'job')} done")

    async def wait_started(self, job: str | None, *, poll_seconds: float) -> None:
        """Wait until a job is no longer pending, which an idle crew that listens was to see to before its next poll."""
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
