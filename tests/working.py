"""A real queue in real time, clients of it, real `pgqmodel worker` processes, for the tests of each; judges nothing."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import trio

from cli.commands import PROGRAM
from pgqmodel.client import ClaimedJob, Queue
from pgqmodel.client.recorder import read_client_history
from pgqmodel.history import Event
from pgqmodel.server import Cluster, Database
from pgqmodel.target import load

__all__ = ["PATIENCE_SECONDS", "Side", "histories", "prepared", "take", "until", "with_queue", "worker"]

PATIENCE_SECONDS = 30.0


class Side:
    """A database with a queue in it, seen from the side."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement that commits by itself."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def job(self, payload: str = "{}", **columns: Any) -> int:
        """A new pending job."""
        columns = {"payload": payload, **columns}
        marks = ", ".join(["%s"] * len(columns))
        statement = f"INSERT INTO job_queue ({', '.join(columns)}) VALUES ({marks}) RETURNING id"
        ((job,),) = self.sql(statement, *columns.values())
        return int(job)

    def state(self, job: int) -> str:
        """A job's status."""
        ((status,),) = self.sql("SELECT status FROM job_queue WHERE id = %s", job)
        return str(status)

    def waiting(self, name: str, words: str, event: str = "") -> bool:
        """Whether a session of this name has run, or runs, a statement with these words and waits for an event."""
        found = self.sql(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND query LIKE %s AND wait_event_type LIKE %s",
            name,
            f"%{words}%",
            f"{event}%",
        )
        return bool(found)


@contextlib.contextmanager
def prepared(server: Cluster, name: str, target: str = "reference") -> Iterator[Side]:
    """A database in real time with a target's queue in it."""
    with Database(server, name, real_time=True) as database:
        for script in load(target).setup:
            database.run_setup(script.sql, script.label)
        yield Side(database.conninfo())


def until(condition: Callable[[], Any]) -> Any:
    """What a condition gives once it gives something; a test that waits longer than its patience fails."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return found


@contextlib.contextmanager
def worker(side: Side, name: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """A worker process that listens; killed at the end if it still runs."""
    process = subprocess.Popen(
        [PROGRAM, "worker", "--pg", side.conninfo, "--name", name, "--poll", "3600", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def histories(directory: Path) -> dict[str, list[Event]]:
    """What the workers wrote, by client."""
    return {path.stem: list(read_client_history(path)) for path in sorted(directory.glob("*.jsonl"))}


def with_queue(side: Side, story: Callable[[Queue], Awaitable[None]], **how: Any) -> None:
    """Run a story with a connected client, for no longer than the tests' patience."""

    async def main() -> None:
        with trio.fail_after(PATIENCE_SECONDS):
            async with Queue.connect(how.pop("target", None), how.pop("conninfo", side.conninfo), **how) as queue:
                await story(queue)

    trio.run(main)


async def take(queue: Queue) -> ClaimedJob:
    """A claim that finds something."""
    claim = await queue.claim()
    assert claim is not None
    return claim
