"""A queue's client in Trio: one method for each operation of any target, and waiting for work.

`caller` makes the calls and records them in the history.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import trio
from attrs import asdict, field, frozen

from pgqmodel.client.caller import Caller, ClaimedJob
from pgqmodel.client.lines import LINE_BYTES_MAX, array_of, clean_line
from pgqmodel.client.recorder import Recorder
from pgqmodel.errors import UsageError
from pgqmodel.operations import (
    CANCEL,
    CLAIM,
    COMPLETE,
    DEPLOY,
    ENQUEUE,
    FAIL,
    HEARTBEAT,
    LOCK,
    LOG,
    RECLAIM,
    RETRY,
    UNLOCK,
    Status,
)
from pgqmodel.phrases import counted
from pgqmodel.server.connection import LOST
from pgqmodel.target import Target, load

__all__ = ["ClaimedJob", "NewJob", "Queue"]

POLL_SECONDS = 5.0


@frozen(kw_only=True)
class NewJob:
    """A job of a new run; `needs` are the places, counted from 0, of the run's jobs that must complete first."""

    stage: int | None = None
    needs: tuple[int, ...] = ()
    environment: str | None = None
    priority: int = 0
    payload: Mapping[str, Any] = field(factory=dict)


class Queue(Caller):
    """A client of one queue over one connection; `connect` opens a connected one, `reconnect` connects it again."""

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        target: Target | str | None,
        conninfo: str,
        *,
        worker: str = "w1",
        recorder: Recorder | None = None,
        line_bytes_max: int = LINE_BYTES_MAX,
        clock: Callable[[], float] = time.time,
    ) -> AsyncIterator[Self]:
        """A connected client of a target (None: the reference queue), which is closed at the end.

        LostAnswerError if the server cannot be reached, UsageError if `conninfo` is malformed.
        """
        found = target if isinstance(target, Target) else load(target or "reference")
        queue = cls(found, conninfo, worker=worker, recorder=recorder, line_bytes_max=line_bytes_max, clock=clock)
        await queue.reconnect()
        try:
            yield queue
        finally:
            with trio.CancelScope(shield=True):
                await queue.close()

    # -- producers -------------------------------------------------------------------------------------------------

    async def enqueue(
        self,
        payload: Mapping[str, Any] | None = None,
        *,
        priority: int = 0,
        unique_key: str | None = None,
        run: str | None = None,
        stage: int | None = None,
        environment: str | None = None,
    ) -> str | None:
        """Add a job. Return its identifier, or None if it was refused because a live job has its key."""
        told = {"priority": priority, "unique_key": unique_key, "run": run, "stage": stage, "environment": environment}
        values = told | {"payload": json.dumps(payload or {})}
        _, outcome = await self._ask(ENQUEUE.name, values, told=told)
        return str(outcome.row["job"]) if outcome.status is Status.OK else None

    async def create_run(self, run: str, jobs: Sequence[NewJob]) -> int:
        """Add a run's jobs, and return their number; in one statement, if the target has one for that.

        The history has one enqueue for such a statement. Without it each job is enqueued by itself, and `needs` raise
        UsageError.
        """
        _check_needs(run, jobs)
        if not jobs:
            return 0
        if "create_run" in self.target.extras:
            values = {"run": run, "jobs": json.dumps([asdict(job) for job in jobs])}
            await self._ask(
                ENQUEUE.name, values, told={"run": run, "jobs": len(jobs)}, program=self.target.extras["create_run"]
            )
            return len(jobs)
        if any(job.needs for job in jobs):
            message = f"the target {self.target.name} cannot say what a job needs; expected jobs without. Use stages"
            raise UsageError(message)
        for job in jobs:
            await self.enqueue(
                job.payload, priority=job.priority, run=run, stage=job.stage, environment=job.environment
            )
        return len(jobs)

    async def cancel(self, job: str) -> bool:
        """Cancel a job. Return whether there was a job to cancel."""
        return await self._accepted(CANCEL.name, {"job": job})

    async def reclaim(self) -> Mapping[str, Any]:
        """Take back the jobs of silent workers. Return the queue's answer, such as the number of jobs."""
        _, outcome = await self._ask(RECLAIM.name, {})
        return outcome.row

    # -- holders ---------------------------------------------------------------------------------------------------

    async def claim(self) -> ClaimedJob | None:
        """Take the next job; None if there is none."""
        self._connection.settle()  # before the look: a job that is enqueued during it must wake the wait after it
        number, outcome = await self._ask(CLAIM.name, {})
        if outcome.status is not Status.OK:
            return None
        return ClaimedJob(job=str(outcome.row["job"]), call=number, row=outcome.row)

    async def heartbeat(self, claim: ClaimedJob) -> bool:
        """Tell the queue that a job's holder lives; False if it does not hold the job any more."""
        return await self._accepted(HEARTBEAT.name, {}, claim=claim)

    async def complete(self, claim: ClaimedJob) -> bool:
        """Settle a job as done; False if it is not held any more."""
        return await self._accepted(COMPLETE.name, {}, claim=claim)

    async def fail(self, claim: ClaimedJob, error: str = "") -> bool:
        """Settle a job as failed; False if it is not held any more."""
        return await self._accepted(FAIL.name, {"error": clean_line(error, self._line_bytes_max)}, claim=claim)

    async def retry(self, claim: ClaimedJob, error: str = "") -> bool:
        """Give a job back for another attempt; False if it is not held any more."""
        return await self._accepted(RETRY.name, {"error": clean_line(error, self._line_bytes_max)}, claim=claim)

    async def lock(self, claim: ClaimedJob, environment: str | None = None) -> bool:
        """Take the deploy lock of the claim's environment; False if another worker has it."""
        return await self._accepted(LOCK.name, self._place(claim, environment), claim=claim)

    async def deploy(self, claim: ClaimedJob, environment: str | None = None) -> bool:
        """Deploy under the lock; False if the lock is not held."""
        return await self._accepted(DEPLOY.name, self._place(claim, environment), claim=claim)

    async def unlock(self, claim: ClaimedJob, environment: str | None = None) -> bool:
        """Give the deploy lock back; False if it was not held."""
        return await self._accepted(UNLOCK.name, self._place(claim, environment), claim=claim)

    async def log(self, claim: ClaimedJob, lines: Iterable[bytes | str]) -> bool:
        """Add lines to a job's log, in one statement if the target has one for that; False if it is not held."""
        cleaned = [clean_line(line, self._line_bytes_max) for line in lines]
        if not cleaned:
            return True
        if "log_lines" in self.target.extras:
            told, program = {"lines": len(cleaned)}, self.target.extras["log_lines"]
            return await self._accepted(LOG.name, {"lines": array_of(cleaned)}, claim=claim, told=told, program=program)
        for line in cleaned:
            if not await self._accepted(LOG.name, {"line": line}, claim=claim, told={"line": line}):
                return False
        return True

    def _place(self, claim: ClaimedJob, environment: str | None) -> dict[str, Any]:
        return {"environment": environment if environment is not None else claim.row.get("environment")}

    # -- waiting for work ------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Listen to the target's wake-up channel from now on; does nothing if it has none."""
        await self._connection.listen()

    async def unlisten(self) -> None:
        """Stop listening until the next wait: a busy worker needs no wake-up, and each listener makes NOTIFY dearer."""
        await self._connection.unlisten()

    async def claim_or_wait(self, poll_seconds: float = POLL_SECONDS) -> ClaimedJob:
        """Take the next job. While there is none, wait for a wake-up, a delayed job to be due, or `poll_seconds`.

        A claim that has begun is not cancelled: a cancelled caller waits for its answer, and gets the job if one came.
        """
        while True:
            with trio.CancelScope(shield=True):
                claim = await self.claim()
                if claim is not None:
                    await self.unlisten()
                    return claim
            await self.wait_woken(min(poll_seconds, await self.due_seconds()))

    async def wait_woken(self, seconds: float) -> bool:
        """Wait for a notification since the last claim began, or for so many seconds. Return whether one has come.

        If the client does not listen, the first wait ends at once: it listens from then on, and has to look again.
        """
        return await self._connection.wait_woken(seconds)

    async def due_seconds(self) -> float:
        """The seconds until the first delayed job may be claimed; infinity if there is none, or if that is unknown."""
        if "due" not in self.target.extras:
            return float("inf")
        try:
            outcome = await self.target.extras["due"].run(self._connection.connection, {})
        except LOST as error:
            self._connection.lose(error)
        seconds = outcome.row.get("seconds")
        return float("inf") if seconds is None else max(float(seconds), 0.0)


def _check_needs(run: str, jobs: Sequence[NewJob]) -> None:
    for place, job in enumerate(jobs):
        for needed in job.needs:
            if not 0 <= needed < len(jobs) or needed == place:
                message = (
                    f"job {place} of the run {run} needs job {needed}; expected the place of another of its "
                    f"{counted(len(jobs), 'job')}, counted from 0. Correct its needs"
                )
                raise UsageError(message)
