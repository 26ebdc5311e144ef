"""Several worlds side by side, one process and one server each: batches go out in order, results are merged in order.

The verdict is that of the first batch with a finding, whichever process finishes first, so it does not depend on how
many processes there are. This file owns the processes; what happens in a world is `pgqmodel.explore.batches`'s.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Self

import trio
import trio.testing
from attrs import define, evolve, field, frozen

from pgqmodel.cast import MAINTENANCE, PRODUCERS, WORKERS
from pgqmodel.errors import NoVerdictError, PgqmodelError, ServerGoneError
from pgqmodel.explore.batches import BATCH_SCHEDULES, Batch, BatchResult, Explorer
from pgqmodel.explore.judged import Finding
from pgqmodel.explore.replaying import Replayed
from pgqmodel.explore.shrinking import Ending, Shrunk
from pgqmodel.machine.registered import machines_for
from pgqmodel.server import LOST, Server, open_server
from pgqmodel.target import load
from pgqmodel.trace import Trace
from pgqmodel.world import open_world

__all__ = ["Exploration", "Fleet", "WorldSpec", "world_process"]

END_SECONDS_MAX = 10.0
FIRST_SECONDS_MAX = 5.0
"""What the first schedule may take where starting the servers has taken all the time there was."""
LATE_SECONDS_MAX = 0.5
"""How much longer than its time a world may take to end a step; then it is ended, whatever it waits for."""


@frozen(kw_only=True)
class WorldSpec:
    """What a process needs to know to open its world."""

    target: str
    postgres: str = "18"
    workers: int = WORKERS
    producers: int = PRODUCERS
    maintenance: int = MAINTENANCE
    faults: frozenset[str] = frozenset()


@frozen(kw_only=True)
class Exploration:
    """What an exploration came to: sums over the batches up to the first with a finding."""

    schedules: int
    steps: int
    witnessed: Mapping[str, int]
    finding: Finding | None
    ended: int = 0
    """How many worlds had to be ended, in the middle of a step that did not end in time."""


@define
class _Member:
    """One process of the fleet and our end of its pipe."""

    process: SpawnProcess
    pipe: Connection
    postgres: str = ""
    limits: str = ""
    busy: bool = False

    def ask(self, method: str, arguments: tuple[Any, ...]) -> None:
        """Send a request; its answer comes through `receive`."""
        self.busy = True
        with contextlib.suppress(BrokenPipeError):
            self.pipe.send((method, arguments))

    def receive(self) -> Any:
        """The next answer; an exception of the process is raised here."""
        self.busy = False
        try:
            answer = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join(5)
            message = (
                f"an exploring process ended with code {self.process.exitcode} before it answered; expected a result. "
                "If nobody killed it, that is a defect of pgqmodel: report it"
            )
            raise NoVerdictError(message) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer


@define(kw_only=True)
class Fleet:
    """`processes` worlds of the same kind; a context manager that leaves none of them behind."""

    spec: WorldSpec
    processes: int
    _members: list[_Member] = field(init=False, factory=list)

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        try:
            for _ in range(self.processes):
                ours, theirs = context.Pipe()
                process = context.Process(target=world_process, args=(theirs, self.spec), daemon=True)
                process.start()
                theirs.close()
                self._members.append(_Member(process, ours))
            for member in self._members:
                member.postgres, member.limits = member.receive()
        except BaseException as error:
            self.__exit__(error)
            raise
        return self

    def _end(self, member: _Member) -> None:
        """End a world that does not answer, with its server."""
        member.busy = True
        member.process.terminate()

    def __exit__(self, failed: object = None, *_: object) -> None:
        for member in self._members:
            member.pipe.close()
            if (failed is not None or member.busy) and member.process.is_alive():
                member.process.terminate()
        for member in self._members:
            member.process.join(END_SECONDS_MAX)
            if member.process.is_alive():
                member.process.kill()
                member.process.join()

    @property
    def postgres(self) -> str:
        """The version of the server that the worlds run on."""
        return self._members[0].postgres

    @property
    def limits(self) -> str:
        """What the worlds' clock does not cover, in a sentence; empty if it covers everything."""
        return self._members[0].limits

    def shrink(self, finding: Finding, seed: int, deadline: float | None = None) -> Iterator[Shrunk]:
        """The better and better traces of a finding, the last of them with its ending; see `Shrinker`.

        The first one comes however late it is. After that a world that does not keep to its time is ended.
        """
        member = next(member for member in self._members if not member.busy)
        member.ask("shrink", (finding, self.spec.target, seed, deadline))
        shrunk: Shrunk = member.receive()
        while shrunk.ending is None:
            member.busy = True
            yield shrunk
            if _wait([member.pipe], deadline):
                shrunk = member.receive()
            else:
                self._end(member)
                shrunk = evolve(shrunk, ending=Ending(early="a step did not end in time"))
        yield shrunk

    def replay(self, trace: Trace) -> Replayed:
        """Replay a trace in one of the worlds."""
        self._members[0].ask("replay", (trace,))
        replayed: Replayed = self._members[0].receive()
        return replayed

    def explore(
        self,
        *,
        seed: int,
        examples: int | None,
        deadline: float | None,
        progress: Callable[[BatchResult], None] = lambda result: None,
    ) -> Exploration:
        """Explore `examples` schedules, or until `deadline` (of `time.monotonic`); stop at the first finding.

        Worlds that are still busy when a finding is decided go on by themselves: nobody asks them again.
        """
        batches = _batches(seed, examples, deadline)
        limit = None if deadline is None else max(deadline, time.monotonic() + FIRST_SECONDS_MAX)
        results: dict[int, BatchResult] = {}
        busy = {member.pipe: member for member in self._members if self._next(member, batches)}
        while busy and not _decided(results):
            ready = _wait(list(busy), deadline if results else limit)
            for pipe in [pipe for pipe in busy if pipe in ready]:
                member = busy.pop(pipe)
                result: BatchResult = member.receive()
                results[result.number] = result
                progress(result)
                if not _decided(results) and self._next(member, batches):
                    busy[member.pipe] = member
            if not ready:
                for member in busy.values():
                    self._end(member)
                return evolve(_merge(results), ended=len(busy))
        return _merge(results)

    def _next(self, member: _Member, batches: Iterator[Batch]) -> bool:
        batch = next(batches, None)
        if batch is not None:
            member.ask("explore", (batch,))
        return batch is not None


def _wait(pipes: Sequence[Connection], deadline: float | None) -> Sequence[object]:
    """The pipes with an answer; none if no answer came soon after the deadline."""
    left = None if deadline is None else max(deadline + LATE_SECONDS_MAX - time.monotonic(), 0)
    return wait(pipes, left)


def _batches(seed: int, examples: int | None, deadline: float | None) -> Iterator[Batch]:
    """The batches of a run, at least one; the last one brings the number of schedules to `examples`."""
    number, left = 0, examples
    while (left is None or left > 0) and (number == 0 or deadline is None or time.monotonic() < deadline):
        schedules = BATCH_SCHEDULES if left is None else min(left, BATCH_SCHEDULES)
        yield Batch(number=number, seed=seed, schedules=schedules, deadline=deadline)
        number, left = number + 1, None if left is None else left - schedules


def _decided(results: Mapping[int, BatchResult]) -> bool:
    """Whether the first batch with a finding is known: all before it have answered."""
    found = [number for number, result in results.items() if result.finding is not None]
    return bool(found) and all(number in results for number in range(min(found)))


def _merge(results: Mapping[int, BatchResult]) -> Exploration:
    schedules, steps, witnessed, finding = 0, 0, Counter[str](), None
    for number in sorted(results):
        result = results[number]
        schedules, steps, finding = schedules + result.schedules, steps + result.steps, result.finding
        witnessed.update(result.witnessed)
        if finding is not None:
            break
    return Exploration(schedules=schedules, steps=steps, witnessed=dict(witnessed), finding=finding)


def world_process(pipe: Connection, spec: WorldSpec) -> None:
    """The life of one process: open a world, say which Postgres it is, answer requests until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with open_server(spec.postgres) as server:
            signal.signal(signal.SIGTERM, lambda signum, frame: _leave(server, signum))
            _run_world(pipe, spec, server)
    except PgqmodelError as error:
        with contextlib.suppress(OSError):
            pipe.send(error)


def _run_world(pipe: Connection, spec: WorldSpec, server: Server) -> None:
    """Open the world and serve; whatever goes wrong in it ends in one sentence for whoever asked."""
    try:
        trio.run(_serve, pipe, spec, server, clock=trio.testing.MockClock())
    except (EOFError, BrokenPipeError):
        return
    except PgqmodelError:
        if server.running:
            raise
        raise ServerGoneError(_GONE) from None
    except Exception as error:
        if not server.running or isinstance(error, LOST):
            raise ServerGoneError(_GONE) from error
        message = f"a world failed with {type(error).__name__}: {error}; that is a defect of pgqmodel: report it"
        raise NoVerdictError(message) from error


_GONE = (
    "the server was stopped from outside while it was explored; expected it to run to the end. "
    "Find out who stops it (an out-of-memory killer?), and run the check again"
)


def _leave(server: Server, signum: int) -> None:
    """Take the server along and go at once; unwinding a Trio program from a signal handler would only confuse it.

    Once is enough: a second signal would wait for what the first one is doing, and for ever.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server.close()
    os._exit(128 + signum)


async def _serve(pipe: Connection, spec: WorldSpec, server: Server) -> None:
    target = load(spec.target)
    numbers = {"workers": spec.workers, "producers": spec.producers, "maintenance": spec.maintenance}
    async with open_world(target, server, **numbers) as world:
        explorer = Explorer(world=world, machines=machines_for(target), faults=spec.faults, tell=pipe.send)
        pipe.send((server.version, world.database.clock.limits))
        while True:
            method, arguments = pipe.recv()
            pipe.send(await getattr(explorer, method)(*arguments))
