"""A worker process: it claims a job or waits for one, runs it and settles it, until it is told to stop.

It survives lost connections. A session-level lock lives on the connection of the job's calls; heartbeats use another
connection, in a thread of their own (`heart`). If the answer of a claim is lost, the worker does not know the job, so
the job is reclaimed later. If the answer of a settlement is lost, the worker tries again. A refusal then means that the
first try took effect, or that another worker has the job; both are fine.
"""

from __future__ import annotations

import logging
import math
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import NoReturn

import trio
from attrs import evolve, fields, frozen

from pgqmodel.client.backoff import Backoff
from pgqmodel.client.heart import Heart
from pgqmodel.client.lines import LINE_BYTES_MAX
from pgqmodel.client.queue import POLL_SECONDS, ClaimedJob, Queue
from pgqmodel.client.recorder import Recorder, open_history, server_clock
from pgqmodel.client.runner import run_job
from pgqmodel.client.script import read_script
from pgqmodel.errors import (
    ClaimLostError,
    JobFailedError,
    LostAnswerError,
    PgqmodelError,
    RolledBackError,
    UsageError,
)
from pgqmodel.operations import COMPLETE, FAIL, HEARTBEAT, RECLAIM, RETRY
from pgqmodel.target import Target, load

__all__ = ["WorkerOptions", "work"]

GRACE_SECONDS = 10.0
SETTLE_TRIES_MAX = 10
NAME_LENGTH_MAX = 40
_NAME = re.compile(rf"[\w.-]{{1,{NAME_LENGTH_MAX}}}", re.ASCII)
_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class WorkerOptions:
    """The options of a worker. A number of seconds that is None becomes a third of the target's heartbeat timeout.

    With infinite `reclaim_seconds` the worker never reclaims. `history` is a file, or a directory in which this process
    makes a file. `clock` is the file of a server's virtual clock, from which the history takes its times.
    """

    conninfo: str
    name: str
    target: Target | str = "reference"
    history: Path | None = None
    clock: Path | None = None
    poll_seconds: float = POLL_SECONDS
    heartbeat_seconds: float | None = None
    reclaim_seconds: float | None = None
    timeout_seconds: float | None = None
    grace_seconds: float = GRACE_SECONDS
    line_bytes_max: int = LINE_BYTES_MAX
    seed: int | None = None


async def work(options: WorkerOptions) -> None:
    """Be a worker until SIGTERM or SIGINT; a second signal ends the process at once.

    UsageError if the options cannot be used. If the server is down, or goes away, the worker waits for it.
    """
    _check(options)
    target = _target(options)
    recorder = _recorder(options)
    worker = _Worker(options, target, recorder)
    try:
        with _signals(worker):
            await worker.run()
    except BaseExceptionGroup as group:
        _unwrap(group)
    finally:
        if recorder is not None:
            recorder.close()


class _Worker:
    """The loop of one worker, and the ways to interrupt it."""

    def __init__(self, options: WorkerOptions, target: Target, recorder: Recorder | None) -> None:
        make = partial(
            Queue,
            target,
            options.conninfo,
            worker=options.name,
            line_bytes_max=options.line_bytes_max,
            clock=_clock(options),
        )
        random = Random(options.seed)  # noqa: S311 - jitter
        third = target.settings["heartbeat_timeout_seconds"] / 3
        self._options = options
        self._target = target
        self._queue = make(recorder=recorder)
        self._backoff = Backoff(random=random)
        self._heart = Heart(
            queue=make(recorder=recorder and recorder.beside(f"{recorder.client}-heart")),
            beat_seconds=_rhythm(target, HEARTBEAT.name, options.heartbeat_seconds, third),
            reclaim_seconds=_rhythm(target, RECLAIM.name, options.reclaim_seconds, third),
            random=Random(random.random()),  # noqa: S311 - jitter
            refused=self._abandon,
        )
        self._claim: ClaimedJob | None = None
        self._waiting = trio.CancelScope()
        self._running = trio.CancelScope()
        self._stop_at = math.inf
        self._abandoned = False

    @property
    def _stopping(self) -> bool:
        return self._stop_at < math.inf

    @property
    def _patient_until(self) -> float:
        """Until when to wait for the server: for ever; after a stop, until the grace of a held job is over."""
        return self._stop_at if self._claim is not None or not self._stopping else -math.inf

    def stop(self) -> None:
        """Take no more jobs. The running job may go on for the time of grace, and is then given back."""
        self._stop_at = trio.current_time() + self._options.grace_seconds
        self._waiting.deadline = self._patient_until
        self._running.deadline = self._stop_at

    def _abandon(self, claim: ClaimedJob) -> None:
        """A heartbeat was refused: the job is not ours any more, so stop it."""
        if claim is self._claim:
            self._abandoned = True
            self._running.cancel()

    async def run(self) -> None:
        """Work until told to stop."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._heart.run)
            try:
                await self._connect()
                with self._interruptible():
                    await self._heart.ready.wait()
                while not self._stopping:
                    await self._turn()
            finally:
                self._heart.stop()
                with trio.CancelScope(shield=True):
                    await self._queue.close()

    async def _turn(self) -> None:
        """Claim once; run and settle the job, or wait."""
        try:
            claim = await self._queue.claim()
            self._backoff.reset()
            if claim is None:
                await self._wait()
            else:
                await self._do(claim)
        except LostAnswerError:
            await self._connect()
        except RolledBackError as error:
            _log.warning("%s", error)
            await self._sleep(self._backoff.next_seconds())

    async def _wait(self) -> None:
        """Wait for work; ended by `stop`."""
        seconds = min(self._options.poll_seconds, await self._queue.due_seconds())
        with self._interruptible():
            await self._queue.wait_woken(seconds)

    async def _sleep(self, seconds: float) -> None:
        with self._interruptible():
            await trio.sleep(seconds)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """A stop of the worker cancels the code inside at its next wait."""
        with trio.CancelScope(deadline=self._patient_until) as self._waiting:
            yield

    async def _connect(self) -> None:
        """Connect again, however long that takes."""
        while not self._queue.connected and trio.current_time() < self._patient_until:
            await self._queue.close()
            try:
                with self._interruptible():
                    await self._queue.reconnect()
            except LostAnswerError as error:
                _log.info("%s", error)
                await self._sleep(self._backoff.next_seconds())

    # -- a job -----------------------------------------------------------------------------------------------------

    async def _do(self, claim: ClaimedJob) -> None:
        """Run a job and settle it."""
        self._claim = self._heart.claim = claim
        self._abandoned = False
        settlement = (RETRY.name, "its worker was stopped")
        try:
            await self._queue.unlisten()
            with trio.CancelScope(deadline=self._stop_at) as self._running:
                settlement = await self._run(claim)
            if self._target.settles and not self._abandoned:
                await self._settle(claim, *settlement)
        except ClaimLostError as error:
            _log.info("%s", error)
        finally:
            self._claim = self._heart.claim = None

    async def _run(self, claim: ClaimedJob) -> tuple[str, str]:
        """Run a job's script. Return the settlement to use, and the error."""
        retry = False
        try:
            script = read_script(claim.row.get("payload"))
            retry = script.retry
            await run_job(self._queue, claim, script)
        except JobFailedError as error:
            return (RETRY.name if retry else FAIL.name), str(error)
        except (LostAnswerError, RolledBackError) as error:
            return RETRY.name, str(error)
        return COMPLETE.name, ""

    async def _settle(self, claim: ClaimedJob, operation: str, error: str) -> None:
        """Settle a job, again if the answer is lost. A job that cannot be settled is left for a reclaim."""
        if operation not in self._target.operations:
            operation = {RETRY.name: FAIL.name, FAIL.name: RETRY.name}.get(operation, operation)
        values = () if operation == COMPLETE.name else (error,)
        for _ in range(SETTLE_TRIES_MAX):
            try:
                with trio.CancelScope(shield=True):
                    await self._connect()
                    await getattr(self._queue, operation)(claim, *values)
            except LostAnswerError:
                if trio.current_time() >= self._patient_until:
                    return
            except RolledBackError as found:
                _log.warning("%s", found)
                if not found.passing:
                    return
                await trio.sleep(self._backoff.next_seconds())
            else:
                return


# -- what surrounds it ---------------------------------------------------------------------------------------------


def _check(options: WorkerOptions) -> None:
    """UsageError for a malformed name and for wrong numbers of seconds."""
    if not _NAME.fullmatch(options.name):
        message = (
            f"{options.name!r} is not a worker's name; expected up to {NAME_LENGTH_MAX} letters, digits, dots, dashes "
            "and underlines, since files and sessions bear it. Choose another"
        )
        raise UsageError(message)
    for field in fields(WorkerOptions):
        value = getattr(options, field.name)
        if field.name.endswith("_seconds") and value is not None and not value >= 0:
            message = f"{field.name} is {value}; expected a number of seconds, not below 0. Correct it"
            raise UsageError(message)


def _target(options: WorkerOptions) -> Target:
    target = options.target if isinstance(options.target, Target) else load(options.target)
    if options.timeout_seconds is None:
        return target
    return evolve(target, settings={**target.settings, "heartbeat_timeout_seconds": options.timeout_seconds})


def _rhythm(target: Target, operation: str, seconds: float | None, otherwise: float) -> float:
    """The pause between two calls of an operation; infinity if the target does not have the operation."""
    if operation not in target.operations:
        return math.inf
    return otherwise if seconds is None else seconds


def _clock(options: WorkerOptions) -> Callable[[], float]:
    """The clock of this process, or a server's virtual one."""
    return server_clock(options.clock) if options.clock is not None else time.time


def _recorder(options: WorkerOptions) -> Recorder | None:
    if options.history is None:
        return None
    return open_history(options.history, options.name, clock=_clock(options))


@contextmanager
def _signals(worker: _Worker) -> Iterator[None]:
    """The first signal stops the worker; the second one ends the process at once.

    Trio does not handle them, because a job that blocks the thread would delay the second one.
    """
    token = trio.lowlevel.current_trio_token()
    seen: list[int] = []

    def handle(signum: int, frame: object) -> None:
        if seen:
            os._exit(128 + signum)
        seen.append(signum)
        token.run_sync_soon(worker.stop)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unwrap(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raise our own error that ended the worker, instead of Trio's group around it."""
    found: BaseException = group.subgroup(PgqmodelError) or group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    raise found from None
