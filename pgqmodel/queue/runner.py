"""Runs a scripted job: it takes its time, burns CPU, writes lines, deploys, fails. What it is told, it does; no more.

A job is cancelled where it waits, never inside a call to the queue, whose answer would be lost with it.
"""

from __future__ import annotations

import math
import time
from random import Random

import trio

from pgqmodel.errors import ClaimLostError, JobFailedError
from pgqmodel.queue.client import Claim, Queue
from pgqmodel.queue.script import Deploy, Script

__all__ = ["line_of", "run_job"]

FLUSH_SECONDS = 0.05
FLUSH_LINES_MAX = 100
FLUSH_BYTES_MAX = 1 << 20
_WIDE = "\u00e9\u20ac\U00010348"


async def run_job(queue: Queue, claim: Claim, script: Script) -> None:
    """Do what the script says; JobFailedError if it fails, ClaimLostError if the job is somebody else's meanwhile."""
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


def line_of(claim: Claim, number: int, script: Script) -> bytes:
    """A job's line of this number: which it is, when it was written if it is to say so, and what fills it up."""
    stamp = f"@{time.time():.6f} " if script.stamp else ""
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
    """Use the CPU, and let nothing else of this thread run: the worst that a job can do."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def _write_lines(queue: Queue, claim: Claim, script: Script) -> None:
    """Write the lines at their rate, several at once: as many as are due, or as may go together."""
    start = trio.current_time()
    each = max(script.line_bytes, 64)
    together = max(1, min(FLUSH_LINES_MAX, FLUSH_BYTES_MAX // each))
    written = 0
    while written < script.lines:
        next_at = start + written / script.lines_per_second
        if next_at > trio.current_time():
            await trio.sleep_until(max(next_at, trio.current_time() + FLUSH_SECONDS))
        due = _due(script, trio.current_time() - start)
        until = max(written + 1, min(due, written + together))
        await _flush(queue, claim, [line_of(claim, number, script) for number in range(written + 1, until + 1)])
        written = until
        await trio.lowlevel.checkpoint()


def _due(script: Script, seconds: float) -> int:
    """How many lines there are to be after so many seconds."""
    if math.isinf(script.lines_per_second):
        return script.lines
    return min(script.lines, int(seconds * script.lines_per_second) + 1)


async def _flush(queue: Queue, claim: Claim, lines: list[bytes]) -> None:
    with trio.CancelScope(shield=True):
        if not await queue.log(claim, lines):
            message = f"the queue refused a line of job {claim.job}"
            raise ClaimLostError(message)


async def _deploy(queue: Queue, claim: Claim, deploy: Deploy) -> None:
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


async def _lock(queue: Queue, claim: Claim, deploy: Deploy, environment: str) -> None:
    for attempt in range(deploy.tries):
        if attempt:
            await trio.sleep(deploy.wait)
        with trio.CancelScope(shield=True):
            if await queue.lock(claim):
                return
    message = f"the deploy lock of {environment} was not to be had in {deploy.tries} tries"
    raise JobFailedError(message)
