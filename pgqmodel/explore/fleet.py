"""Several worlds side by side, one process and one server each: batches go out in order, results are merged in order.

The result depends neither on the process that finishes first nor on the number of processes. This file owns the
processes; `pgqmodel.explore.batches` explores a world, and `pgqmodel.explore.exploration` sums the results up.
"""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

import trio
import trio.testing
from attrs import define, evolve, field, frozen

from pgqmodel.cast import MAINTENANCE, PRODUCERS, WORKERS
from pgqmodel.errors import NoVerdictError, PgqmodelError, ServerGoneError
from pgqmodel.explore.batches import BATCH_SCHEDULES, Batch, BatchResult, Caught, Explorer
from pgqmodel.explore.exploration import Exploration, is_decided, merge
from pgqmodel.explore.judged import Finding
from pgqmodel.explore.replaying import Replayed
from pgqmodel.explore.shrinking import Ending, Shrunk
from pgqmodel.machine.registered import machines_for
from pgqmodel.promises import PROMISES, could_declare
from pgqmodel.server import LOST, Server, open_server
from pgqmodel.target import load
from pgqmodel.trace import Trace
from pgqmodel.understood import Understanding
from pgqmodel.world import open_world

__all__ = ["Fleet", "WorldSpec", "world_process"]

END_SECONDS_MAX = 10.0
FIRST_SECONDS_MAX = 5.0
"""The time for the first schedule, if starting the servers has used up all the time."""
_ENDING = frozenset({signal.SIGINT, signal.SIGTERM})
LATE_SECONDS_MAX = 0.5
"""The time that a world may take beyond its deadline to end a step. After that its process is terminated."""


@frozen(kw_only=True)
class WorldSpec:
    """The values with which a process opens its world."""

    target: str
    postgres: str = "18"
    workers: int = WORKERS
    producers: int = PRODUCERS
    maintenance: int = MAINTENANCE
    faults: frozenset[str] = frozenset()


@define
class _Member:
    """One process of the fleet and our end of its pipe."""

    process: BaseProcess
    pipe: Connection
    postgres: str = ""
    limits: str = ""
    could_declare: tuple[str, ...] = ()
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


@frozen
class _Shrinking:
    """The finding that a member shrinks, and its deadline."""

    number: int
    member: _Member
    until: float | None


@define(kw_only=True)
class Fleet:
    """`processes` worlds of the same kind; a context manager that ends all of them."""

    spec: WorldSpec
    processes: int
    _members: list[_Member] = field(init=False, factory=list)
    _results: dict[int, BatchResult] = field(init=False, factory=dict)
    _early: dict[int, list[Caught]] = field(init=False, factory=dict)
    """The findings of batches that have not ended."""

    def __enter__(self) -> Self:
        copies = _is_alone()
        context = multiprocessing.get_context("fork") if copies else multiprocessing.get_context("spawn")
        try:
            for _ in range(self.processes):
                ours, theirs = context.Pipe()
                copied = [*(member.pipe for member in self._members), ours] if copies else []
                process = context.Process(target=world_process, args=(theirs, self.spec, copied), daemon=True)
                _start_undisturbed(process)
                theirs.close()
                self._members.append(_Member(process, ours))
            for member in self._members:
                member.postgres, member.limits, member.could_declare = member.receive()
        except BaseException as error:
            self.__exit__(error)
            raise
        return self

    def _end(self, member: _Member) -> None:
        """Terminate the process of a world that does not answer; the process stops its server."""
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
        """A sentence on times that the worlds' clock does not control; empty if it controls all."""
        return self._members[0].limits

    @property
    def could_declare(self) -> tuple[str, ...]:
        """The promises that the target could declare and does not, in their order."""
        return self._members[0].could_declare

    def confirm(self, finding: Finding, seed: int) -> Trace | None:
        """Run a finding's story again from a clean database; its trace, or None if the finding does not come back."""
        trace: Trace | None = self._asked("confirm", (finding, self.spec.target, seed))
        return trace

    def shrink(self, found: Sequence[Caught], seed: int, deadline: float | None = None) -> Iterator[tuple[int, Shrunk]]:
        """Shrink findings side by side; yield each shorter story with the number of its finding. See `Shrinker`.

        The last story of each finding has an ending. The remaining time is shared by the remaining findings. A world
        that does not keep to its time is terminated.
        """
        best = {number: Shrunk(trace=each.trace) for number, each in enumerate(found)}
        waiting, work = list(best), dict[Connection, _Shrinking]()
        while waiting or work:
            idle = [member for member in self._members if not member.busy]
            if waiting and (idle or not work):
                number, until = waiting[0], _share(deadline, len(waiting), len(idle) + len(work))
                if not idle or (until is not None and time.monotonic() > until):
                    yield number, evolve(best[number], ending=Ending(early="its time was over"))
                else:
                    idle[0].ask("shrink", (found[number].finding, self.spec.target, seed, until))
                    work[idle[0].pipe] = _Shrinking(number, idle[0], until)
                waiting.pop(0)
                continue
            for number, told in self._progress(work):
                best[number] = told if isinstance(told, Shrunk) else evolve(best[number], ending=told)
                yield number, best[number]

    def _progress(self, work: dict[Connection, _Shrinking]) -> Iterator[tuple[int, Shrunk | Ending]]:
        """Yield shorter stories and endings as they come, and take the members that ended out of `work`."""
        until = min((each.until for each in work.values() if each.until is not None), default=None)
        ready = _wait(list(work), until)
        for pipe in [pipe for pipe in work if pipe in ready]:
            try:
                shrunk: Shrunk = work[pipe].member.receive()
            except NoVerdictError as error:
                work[pipe].member.busy = True
                yield work.pop(pipe).number, Ending(early="a world failed", note=str(error))
                continue
            work[pipe].member.busy = shrunk.ending is None
            yield (work[pipe] if shrunk.ending is None else work.pop(pipe)).number, shrunk
        for pipe in [pipe for pipe in work if not ready and work[pipe].until == until]:
            self._end(work[pipe].member)
            yield work.pop(pipe).number, Ending(early="a step did not end in time")

    def replay(self, trace: Trace) -> Replayed:
        """Replay a trace in one of the worlds."""
        replayed: Replayed = self._asked("replay", (trace,))
        return replayed

    def dry_run(self) -> Understanding:
        """Run each operation of the target once, alone, in one of the worlds."""
        understood: Understanding = self._asked("dry_run", ())
        return understood

    def _asked(self, method: str, arguments: tuple[Any, ...]) -> Any:
        """Ask an idle world, and return its answer."""
        member = next((member for member in self._members if not member.busy), None)
        if member is None:
            message = "every world has been ended, because its steps did not end in time; expected one that answers. "
            message += "Look for a statement that takes seconds, or never ends"
            raise NoVerdictError(message)
        member.ask(method, arguments)
        return member.receive()

    def explore(
        self,
        *,
        seed: int,
        examples: int | None,
        deadline: float | None,
        first: bool = False,
        progress: Callable[[BatchResult | Caught], None] = lambda told: None,
    ) -> Exploration:
        """Explore `examples` schedules, or until `deadline` (of `time.monotonic`), or up to the `first` finding.

        Worlds that are still busy when the first finding is decided finish their batch, and get no other one.
        """
        plan = Batch(number=0, seed=seed, first=first, source=self.spec.target, deadline=deadline)
        batches = _batches(plan, examples)
        limit = None if deadline is None else max(deadline, time.monotonic() + FIRST_SECONDS_MAX)
        results = self._results = {}
        self._early = {}
        busy = {member.pipe: member for member in self._members if self._next(member, batches)}
        while busy and not (first and is_decided(results)):
            ready = _wait(list(busy), deadline if results else limit)
            for pipe in [pipe for pipe in busy if pipe in ready]:
                answer: BatchResult | Caught = busy[pipe].receive()
                if isinstance(answer, Caught):
                    busy[pipe].busy = True
                    self._early.setdefault(answer.batch, []).append(answer)
                    progress(answer)
                    continue
                member = busy.pop(pipe)
                results[answer.number] = answer
                progress(answer)
                if not (first and is_decided(results)) and self._next(member, batches):
                    busy[member.pipe] = member
            if not ready:
                for member in busy.values():
                    self._end(member)
                return evolve(self.explored(first=first), ended=len(busy))
        return self.explored(first=first)

    def explored(self, *, first: bool = False) -> Exploration:
        """The result so far; without `first`, it includes the findings of batches that did not end."""
        early = {} if first and is_decided(self._results) else self._early
        return merge(self._results, early, first=first)

    def _next(self, member: _Member, batches: Iterator[Batch]) -> bool:
        batch = next(batches, None)
        if batch is not None:
            member.ask("explore", (batch,))
        return batch is not None


def _wait(pipes: Sequence[Connection], deadline: float | None) -> Sequence[object]:
    """The pipes that have an answer; none if no answer came soon after the deadline."""
    left = None if deadline is None else max(deadline + LATE_SECONDS_MAX - time.monotonic(), 0)
    return wait(pipes, left)


def _batches(plan: Batch, examples: int | None) -> Iterator[Batch]:
    """The batches of a run, at least one; the last one brings the number of schedules to `examples`."""
    number, left, deadline = 0, examples, plan.deadline
    while (left is None or left > 0) and (number == 0 or deadline is None or time.monotonic() < deadline):
        schedules = BATCH_SCHEDULES if left is None else min(left, BATCH_SCHEDULES)
        yield evolve(plan, number=number, schedules=schedules)
        number, left = number + 1, None if left is None else left - schedules


def _share(deadline: float | None, left: int, hands: int) -> float | None:
    """The deadline for the next finding, when `left` findings are shrunk by `hands` worlds side by side."""
    if deadline is None or not hands:
        return deadline
    now = time.monotonic()
    return now + max(deadline - now, 0) / math.ceil(left / hands)


def _is_alone() -> bool:
    """Whether this process has one thread; then a copy of it can be a world at once, without imports of its own.

    In a copy of a process with more of them, a lock may be held by a thread that is not there.
    """
    return sys.platform == "linux" and len([*Path("/proc/self/task").iterdir()]) == 1


def _start_undisturbed(process: BaseProcess) -> None:
    """Start a process to which a signal to end comes only when it can act on it, in `world_process`.

    In the handlers that Python itself runs after a fork, the error that the signal raises would be told and forgotten.
    """
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def world_process(pipe: Connection, spec: WorldSpec, copied: Sequence[Connection] = ()) -> None:
    """A process's main function: open a world, tell its Postgres version, answer requests until the pipe closes.

    `copied` are ends of pipes that belong to the parent alone: a pipe closes when its last copy does.
    """
    for end in copied:
        end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    _quieten()
    try:
        with open_server(spec.postgres) as server:
            signal.signal(signal.SIGTERM, lambda signum, frame: _leave(server, signum))
            _run_world(pipe, spec, server)
    except PgqmodelError as error:
        with contextlib.suppress(OSError):
            pipe.send(error)


def _quieten() -> None:
    """Keep apart what functions of an application say while they are explored.

    What they print goes to standard error, because standard output may be JSON. What they log goes where they have
    configured it, and else nowhere: they may do so in each of thousands of stories.
    """
    sys.stdout = sys.stderr
    logging.lastResort = logging.NullHandler()


def _run_world(pipe: Connection, spec: WorldSpec, server: Server) -> None:
    """Open the world and answer requests. An error becomes one sentence for the asking process."""
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
    """Stop the server and exit at once. To unwind a Trio program from a signal handler would only confuse it.

    A second signal is ignored: its handler would wait for a lock that the first one holds, and for ever.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server.close()
    os._exit(128 + signum)


async def _serve(pipe: Connection, spec: WorldSpec, server: Server) -> None:
    target = load(spec.target)
    numbers = {"workers": spec.workers, "producers": spec.producers, "maintenance": spec.maintenance}
    async with open_world(target, server, **numbers) as world:
        explorer = Explorer(world=world, machines=machines_for(target), faults=spec.faults, tell=pipe.send)
        described = world.target
        could = tuple(could_declare(PROMISES, described.outline, described.promises))
        pipe.send((server.version, world.database.clock.limits, could))
        while True:
            method, arguments = pipe.recv()
            pipe.send(await getattr(explorer, method)(*arguments))
