"""The processes of a simulation: forked from one that has imported everything, on a leash, awaited without polling."""

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
    """The directory for the socket of `multiprocessing`; it is removed like a server's directory if we are killed.

    The directory that `multiprocessing` makes by itself could belong to any program, so no sweep could remove it.
    """
    directory, alive = own_directory()
    before, tempfile.tempdir = tempfile.tempdir, str(directory)
    try:
        multiprocessing.util.get_temp_dir()  # it is made once, below the present directory for temporary files
    finally:
        tempfile.tempdir = before

    def remove() -> None:
        shutil.rmtree(directory, ignore_errors=True)
        alive.close()

    # After `multiprocessing` has removed its own directory inside (priority -100), which must still exist then.
    multiprocessing.util.Finalize(None, remove, exitpriority=-200)
    return directory


def begin(leash: Leash, name: str, run: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """Start a process that runs a function, and put it on the leash."""
    process = CONTEXT.Process(target=_run, args=(run, *arguments), name=name, daemon=True)
    process.start()
    assert process.pid is not None
    leash.hold(process.pid)
    return process


def _run(run: Callable[..., object], *arguments: Any) -> None:
    """The main function of a process. It ignores Ctrl-C and hang-up, because the simulation ends it in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run(*arguments)


async def wait_end(leash: Leash, process: ForkServerProcess) -> int:
    """Wait until a process has ended. Return its exit code, which is negative if a signal ended it."""
    if process.is_alive():
        await trio.lowlevel.wait_readable(process.sentinel)
    process.join()
    assert process.pid is not None
    leash.let_go(process.pid)
    return process.exitcode or 0
