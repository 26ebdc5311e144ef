"""The same queue as asynchronous functions, with a claim that takes two jobs."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

CLAIM = """
UPDATE jobs SET status = 'working', worker = %s, heartbeat_at = now(), attempts = attempts + 1
WHERE id IN (SELECT id FROM jobs WHERE status = 'queued' ORDER BY priority DESC, id LIMIT 2 FOR UPDATE SKIP LOCKED)
RETURNING id AS job, attempts AS attempt
"""
END = """
UPDATE jobs SET status = CASE WHEN attempts < %s THEN 'queued' ELSE 'dead' END, worker = NULL
WHERE id = %s AND attempts = %s AND status = 'working'
"""
Connection = psycopg.AsyncConnection[Any]


async def enqueue(connection: Connection, payload: str, priority: int) -> int:
    """Add a job."""
    cursor = await connection.execute(
        "INSERT INTO jobs (payload, priority) VALUES (%s, %s) RETURNING id", (payload, priority)
    )
    (job,) = await cursor.fetchone() or (0,)
    await connection.commit()
    return int(job)


async def claim(connection: Connection, worker: str) -> list[dict[str, Any]]:
    """Take two jobs."""
    async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(CLAIM, (worker,))
        return await cursor.fetchall()


async def heartbeat(connection: Connection, job: str, attempt: int) -> bool:
    """Say that the worker lives."""
    async with connection.transaction():
        beaten = await connection.execute(
            "UPDATE jobs SET heartbeat_at = now() WHERE id = %s AND attempts = %s AND status = 'working'",
            (job, attempt),
        )
    return beaten.rowcount == 1


async def complete(connection: Connection, job: str, attempt: int) -> bool:
    """Look whether the job is still the worker's, and end it in the same transaction."""
    async with connection.transaction():
        held = await connection.execute(
            "SELECT FROM jobs WHERE id = %s AND attempts = %s AND status = 'working' FOR UPDATE", (job, attempt)
        )
        if held.rowcount == 0:
            return False
        await connection.execute("UPDATE jobs SET status = 'done' WHERE id = %s", (job,))
    return True


async def fail(connection: Connection, job: str, attempt: int, max_attempts: int) -> bool:
    """Put a job back, up to its last attempt."""
    async with connection.transaction():
        failed = await connection.execute(END, (max_attempts, job, attempt))
    return failed.rowcount == 1


async def reclaim(connection: Connection, heartbeat_timeout_seconds: float, max_attempts: int) -> None:
    """Take the jobs of silent workers back, one by one."""
    async with connection.transaction():
        late = await connection.execute(
            "SELECT id, attempts FROM jobs WHERE status = 'working' "
            "AND heartbeat_at < now() - make_interval(secs => %s) ORDER BY id FOR UPDATE SKIP LOCKED",
            (heartbeat_timeout_seconds,),
        )
        async for job, attempts in late:
            await connection.execute(END, (max_attempts, job, attempts))
