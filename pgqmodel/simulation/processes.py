"""Processes of our own making: forked from one that has imported everything, on a leash, waited for without polling."""

from __future__ import annotations

import functools
import multiprocessing
import multiprocessing.util
import shutil
import signal
import tempfile
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import trio

from pgqmodel.server.cluster import own_directory
from pgqmodel.simulation.leash import Leash

__all__ = ["CONTEXT", "begin", "home", "wait_end"]

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["pgqmodel.client.worker_process", "pgqmodel.service.http_server", "pgqmodel.simulation.subscribers"]
)


@functools.cache
def home() -> Path:
    """The directory in which `multiprocessing` has its socket: one that is swept like a server's if we are killed.

    Left to itself, `multiprocessing` makes one that nobody could tell from another program's.
    """
    directory, alive = own_directory()
    before, tempfile.tempdir = tempfile.tempdir, str(directory)
    try:
        multiprocessing.util.get_temp_dir()  # it is made once, wherever temporary files go just then
    finally:
        tempfile.tempdir = before

    def remove() -> None:
        shutil.rmtree(directory, ignore_errors=True)
        alive.close()

    # After `multiprocessing` has removed its own directory in it (priority -100), or that would find nothing.
    multiprocessing.util.Finalize(None, remove, exitpriority=-200)
    return directory


def begin(leash: Leash, name: str, run: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """Start a process that runs a function with arguments, and hold it."""
    process = CONTEXT.Process(target=_run, args=(run, *arguments), name=name, daemon=True)
    process.start()
    assert process.pid is not None
    leash.hold(process.pid)
    return process


def _run(run: Callable[..., object], *arguments: Any) -> None:
    """The life of a process. Ctrl-C and the end of a terminal go to all; the simulation ends us in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run(*arguments)


async def wait_end(leash: Leash, process: ForkServerProcess) -> int:
    """Wait until a process has ended; its exit code, negative if a signal ended it."""
    if process.is_alive():
        await trio.lowlevel.wait_readable(process.sentinel)
    process.join()
    assert process.pid is not None
    leash.let_go(process.pid)
    return process.exitcode or 0
