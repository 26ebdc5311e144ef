"""Runs a scripted job: it takes time, burns CPU, writes lines, deploys or fails, as its script says.

A job can be cancelled while it waits, but not inside a call to the queue, because the answer would be lost.
"""

from __future__ import annotations

import math
import time
from random import Random

import trio

from pgqmodel.client.queue import ClaimedJob, Queue
from pgqmodel.client.script import Deploy, JobScript
from pgqmodel.errors import ClaimLostError, JobFailedError

__all__ = ["line_of", "run_job"]

FLUSH_SECONDS = 0.25
"""A line waits at most so long for others to join its batch; a full batch is sent at once."""
FLUSH_LINES_MAX = 100
FLUSH_BYTES_MAX = 1 << 20
_WIDE = "\u00e9\u20ac\U00010348"


async def run_job(queue: Queue, claim: ClaimedJob, script: JobScript) -> None:
    """Run the script; JobFailedError if it fails, ClaimLostError if the job is not held any more."""
    start = trio.current_time()
    _burn(script.busy)
    if script.lines:
        await _write_lines(queue, claim, script)
    if script.deploy is not None:
        await _deploy(queue, claim, script.deploy)
    await trio.sleep_until(start + script.seconds)
    attempt = claim.row.get("attempt") or 1
    if script.fail or attempt <= script.fail_times:
        message = f"the script of job {claim.job} says that attempt {attempt} fails"
        raise JobFailedError(message)


def line_of(claim: ClaimedJob, number: int, script: JobScript, at: float) -> bytes:
    """A job's line with this number: its name, the time of writing if the script asks for it, and filler."""
    stamp = f"@{at:.6f} " if script.stamp else ""
    head = f"{claim.job}/{claim.row.get('attempt') or 1} line {number} {stamp}".encode()
    missing = script.line_bytes - len(head)
    if script.junk:
        return head + Random(head).randbytes(max(missing, 16)).replace(b"\n", b"\x00")  # noqa: S311 - filling
    if missing <= 0:
        return head.rstrip()
    if script.wide:
        return head + (_WIDE * (missing // 9 + 1)).encode()[:missing].decode(errors="ignore").encode()
    return head + b"." * missing


def _burn(seconds: float) -> None:
    """Use the CPU and block this thread: the worst that a job can do."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def _write_lines(queue: Queue, claim: ClaimedJob, script: JobScript) -> None:
    """Write the lines at their rate, in batches: every `FLUSH_SECONDS` all lines that are due, or a full batch at once.

    There is a pause after every flush, even if more lines are due. Without it a busy machine stayed busy with many
    small calls, because after a slow call the next line is due already.
    """
    start, start_at = trio.current_time(), time.time()
    together = max(1, min(FLUSH_LINES_MAX, FLUSH_BYTES_MAX // max(script.line_bytes, 64)))
    written, flushed_at = 0, -math.inf
    while written < script.lines:
        next_at = start + written / script.lines_per_second
        full_at = start + (written + together - 1) / script.lines_per_second
        await trio.sleep_until(min(max(next_at, flushed_at + FLUSH_SECONDS), full_at))
        flushed_at = trio.current_time()
        due = _due(script, trio.current_time() - start)
        until = max(written + 1, min(due, written + together))
        numbers = range(written + 1, until + 1)
        await _flush(queue, claim, [line_of(claim, n, script, _written_at(script, start_at, n)) for n in numbers])
        written = until
        await trio.lowlevel.checkpoint()


def _written_at(script: JobScript, start_at: float, number: int) -> float:
    """The time of a line by its rate. The wait for its batch and for slow calls counts as latency."""
    return time.time() if math.isinf(script.lines_per_second) else start_at + (number - 1) / script.lines_per_second


def _due(script: JobScript, seconds: float) -> int:
    """The number of lines that are due after so many seconds."""
    if math.isinf(script.lines_per_second):
        return script.lines
    return min(script.lines, int(seconds * script.lines_per_second) + 1)


async def _flush(queue: Queue, claim: ClaimedJob, lines: list[bytes]) -> None:
    with trio.CancelScope(shield=True):
        if not await queue.log(claim, lines):
            message = f"the queue refused a line of job {claim.job}"
            raise ClaimLostError(message)


async def _deploy(queue: Queue, claim: ClaimedJob, deploy: Deploy) -> None:
    environment = claim.row.get("environment")
    if environment is None:
        message = f"job {claim.job} is to deploy; expected it to have an environment. Enqueue it with one"
        raise JobFailedError(message)
    await _lock(queue, claim, deploy, environment)
    try:
        await trio.sleep(deploy.seconds)
        with trio.CancelScope(shield=True):
            deployed = await queue.deploy(claim)
    finally:
        if queue.connected:
            with trio.CancelScope(shield=True):
                await queue.unlock(claim)
    if not deployed:
        message = f"the deploy to {environment} was refused: its lock is held no more"
        raise JobFailedError(message)


async def _lock(queue: Queue, claim: ClaimedJob, deploy: Deploy, environment: str) -> None:
    for attempt in range(deploy.tries):
        if attempt:
            await trio.sleep(deploy.wait)
        with trio.CancelScope(shield=True):
            if await queue.lock(claim):
                return
    message = f"the deploy lock of {environment} was not to be had in {deploy.tries} tries"
    raise JobFailedError(message)
