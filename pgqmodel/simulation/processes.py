"""Processes of our own making: forked from one that has imported everything, on a leash, waited for without polling."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from typing import Any

import trio

from pgqmodel.simulation.leash import Leash

__all__ = ["CONTEXT", "begin", "wait_end"]

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pgqmodel.queue.worker", "pgqmodel.queue.serve", "pgqmodel.simulation.subscribers"])


def begin(leash: Leash, name: str, run: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """Start a process that runs a function with arguments, and hold it."""
    process = CONTEXT.Process(target=_run, args=(run, *arguments), name=name, daemon=True)
    process.start()
    assert process.pid is not None
    leash.hold(process.pid)
    return process


def _run(run: Callable[..., object], *arguments: Any) -> None:
    """The life of a process. Ctrl-C, which goes to all, is for the simulation: it ends us in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run(*arguments)


async def wait_end(leash: Leash, process: ForkServerProcess) -> int:
    """Wait until a process has ended; its exit code, negative if a signal ended it."""
    if process.is_alive():
        await trio.lowlevel.wait_readable(process.sentinel)
    process.join()
    assert process.pid is not None
    leash.let_go(process.pid)
    return process.exitcode or 0
