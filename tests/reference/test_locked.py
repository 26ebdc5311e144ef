"""What Postgres leaves locked: why a claim may pass over a job that nobody has taken."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from working import Side, until

CLAIM = """
UPDATE job_queue SET status = 'running', attempts = attempts + 1, worker = 'slow' WHERE id = (
    SELECT id FROM job_queue
    WHERE status = 'pending' AND available_at <= now() AND pg_advisory_xact_lock_shared(1) IS NOT NULL
    ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
"""
FREE = "SELECT id FROM job_queue WHERE status = 'pending' ORDER BY id FOR UPDATE SKIP LOCKED"


@pytest.mark.both_majors
def test_a_slow_claim_leaves_a_job_locked_that_it_does_not_take(side: Side) -> None:
    """Its snapshot showed the job; it locks the version that is there now, finds it not due, and takes the next one."""
    with psycopg.connect(side.conninfo) as slow, ThreadPoolExecutor(1) as thread:
        better, other = side.job(priority=2), side.job(priority=1)
        with psycopg.connect(side.conninfo) as gate:
            gate.execute("SELECT pg_advisory_xact_lock(1)")
            claim = thread.submit(lambda: slow.execute(CLAIM).fetchall())
            until(lambda: _waits(side))
            side.sql("UPDATE job_queue SET available_at = now() WHERE id = %s", better)
        assert claim.result() == [(other,)]
        assert side.sql(FREE) == []
        slow.commit()
        assert side.sql(FREE) == [(better,)]


def _waits(side: Side) -> list[tuple[Any, ...]]:
    return side.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
