"""A stale completion is caught like any other error, and the job is failed without a fence: somebody else has it."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

MAX_ATTEMPTS = 3
END = """
UPDATE jobs SET status = CASE WHEN attempts < %s THEN 'queued' ELSE 'dead' END, worker = NULL
WHERE id = %s AND attempts = %s AND status = 'working'
"""


class StaleJobError(Exception):
    """The job has another holder by now."""


def enqueue(connection: psycopg.Connection[Any], payload: str, priority: int) -> int:
    """Add a job."""
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO jobs (payload, priority) VALUES (%s, %s) RETURNING id", (payload, priority)
        ).fetchone()
    assert row is not None
    return int(row[0])


def claim(connection: psycopg.Connection[Any], worker: str) -> dict[str, Any] | None:
    """Find a job, then take it."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "SELECT id FROM jobs WHERE status = 'queued' ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED"
        ).fetchone()
        if found is None:
            return None
        return cursor.execute(
            "UPDATE jobs SET status = 'working', worker = %s, heartbeat_at = now(), attempts = attempts + 1 "
            "WHERE id = %s RETURNING id AS job, attempts AS attempt",
            (worker, found["id"]),
        ).fetchone()


def heartbeat(connection: psycopg.Connection[Any], job: str, attempt: int) -> bool:
    """Say that the worker lives."""
    with connection.transaction():
        beaten = connection.execute(
            "UPDATE jobs SET heartbeat_at = now() WHERE id = %s AND attempts = %s AND status = 'working'",
            (job, attempt),
        )
    return beaten.rowcount == 1


def complete(connection: psycopg.Connection[Any], job: str, attempt: int) -> bool:
    """End a job; a stale one is an error inside of the application."""
    try:
        with connection.transaction():
            _finish(connection, job, attempt)
    except StaleJobError:
        connection.execute("UPDATE jobs SET status = 'dead' WHERE id = %s AND status = 'working'", (job,))
        connection.commit()
        return False
    return True


def _finish(connection: psycopg.Connection[Any], job: str, attempt: int) -> None:
    done = connection.execute(
        "UPDATE jobs SET status = 'done' WHERE id = %s AND attempts = %s AND status = 'working'", (job, attempt)
    )
    if done.rowcount == 0:
        raise StaleJobError(job)


def fail(connection: psycopg.Connection[Any], job: str, attempt: int) -> bool:
    """Put a job back, up to its last attempt."""
    failed = connection.execute(END, (MAX_ATTEMPTS, job, attempt))
    connection.commit()
    return failed.rowcount == 1


def reclaim(connection: psycopg.Connection[Any], heartbeat_timeout_seconds: float) -> int:
    """Take the jobs of silent workers back, one by one."""
    with connection.transaction():
        late = connection.execute(
            "SELECT id, attempts FROM jobs WHERE status = 'working' "
            "AND heartbeat_at < now() - make_interval(secs => %s) ORDER BY id FOR UPDATE SKIP LOCKED",
            (heartbeat_timeout_seconds,),
        ).fetchall()
        for job, attempts in late:
            connection.execute(END, (MAX_ATTEMPTS, job, attempts))
    return len(late)
