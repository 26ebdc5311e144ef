"""What the processes do whose throughput is measured. They import little, so that starting them is cheap.

Each works over one connection, with one job at a time unless told otherwise, through psycopg (pgbench through libpq).
What a queue opens besides stays idle: our worker one for its heart, procrastinate one to listen on.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import psycopg
import trio

from pgqmodel.client.worker_process import WorkerOptions, work

__all__ = [
    "become",
    "open_pgqueuer",
    "open_procrastinate",
    "work_pgqueuer",
    "work_procrastinate",
    "work_reference",
]


def become(words: list[str]) -> None:
    """Be another program from now on, one that says nothing on standard output."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    os.execv(words[0], words)


def work_reference(conninfo: str, name: str) -> None:
    """Be a worker of the reference queue."""
    trio.run(work, WorkerOptions(conninfo=conninfo, name=name))


def open_procrastinate(conninfo: str) -> tuple[Any, Any]:
    """An application with one task that does nothing."""
    import procrastinate

    application = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=conninfo, min_size=1, max_size=2))

    @application.task(name="nothing")
    async def nothing() -> None:
        pass

    return application, nothing


def work_procrastinate(conninfo: str, name: str) -> None:
    """Be a worker of procrastinate."""

    async def run() -> None:
        application, _ = open_procrastinate(conninfo)
        async with application.open_async():
            await application.run_worker_async(name=name, concurrency=1)

    asyncio.run(run())


async def open_pgqueuer(conninfo: str) -> Any:
    """Its queries, over a connection of their own."""
    from pgqueuer.db import PsycopgDriver
    from pgqueuer.queries import Queries

    return Queries(PsycopgDriver(await psycopg.AsyncConnection.connect(conninfo, autocommit=True)))


def work_pgqueuer(conninfo: str, name: str, *, batch: int) -> None:
    """Be a worker of pgqueuer that takes and settles so many jobs at a time."""
    from pgqueuer.qm import QueueManager

    async def run() -> None:
        manager = QueueManager(await open_pgqueuer(conninfo))

        @manager.entrypoint("nothing")
        async def nothing(job: Any) -> None:
            pass

        await manager.run(batch_size=batch)

    os.environ["PGAPPNAME"] = name
    asyncio.run(run())
