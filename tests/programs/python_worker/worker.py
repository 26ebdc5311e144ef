"""A worker as a team would write it: it claims, beats from a thread of its own, runs the job and settles it.

FAULTS names what it does wrong: the tests find that.
"""

from __future__ import annotations

import os
import threading

import psycopg

FAULTS = set(os.environ.get("FAULTS", "").split())
NAME = os.environ["PGQMODEL_WORKER"]
BEAT_SECONDS = 10
POLL_SECONDS = 5

CLAIM = """
UPDATE jobs SET status = 'running', worker = %(worker)s, attempt = attempt + 1, heartbeat_at = now()
WHERE id = (SELECT id FROM jobs WHERE status = 'queued' ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1)
RETURNING id, attempt
"""
FIND = "SELECT id, attempt + 1 FROM jobs WHERE status = 'queued' ORDER BY id LIMIT 1"
TAKE = """
UPDATE jobs SET status = 'running', worker = %(worker)s, attempt = %(attempt)s, heartbeat_at = now()
WHERE id = %(job)s
"""
OWN = " AND worker = %(worker)s AND attempt = %(attempt)s AND status = 'running'"
BEAT = "UPDATE jobs SET heartbeat_at = now() WHERE id = %(job)s" + OWN
SETTLE = "UPDATE jobs SET status = %(status)s WHERE id = %(job)s" + ("" if "unfenced" in FAULTS else OWN)


def beat(claim: dict[str, object], over: threading.Event) -> None:
    """Say every ten seconds that the job is alive, until it is over."""
    with psycopg.connect(autocommit=True) as connection:
        while not over.wait(BEAT_SECONDS):
            connection.execute(BEAT, claim)


def claim_one(connection: psycopg.Connection) -> dict[str, object] | None:
    """Take the next job."""
    if "select-then-update" in FAULTS:
        found = connection.execute(FIND).fetchone()
        if found is not None:
            connection.execute(TAKE, {"job": found[0], "attempt": found[1], "worker": NAME})
    else:
        found = connection.execute(CLAIM, {"worker": NAME}).fetchone()
    return None if found is None else {"job": found[0], "attempt": found[1], "worker": NAME}


def run(connection: psycopg.Connection, claim: dict[str, object]) -> None:
    """Run a job and settle it."""
    over = threading.Event()
    heart = threading.Thread(target=beat, args=(claim, over))
    if "no-heartbeat" not in FAULTS:
        heart.start()
    status = "failed"
    try:
        answer = connection.execute("SELECT pgqmodel.work(%(job)s)", claim).fetchone()
        status = "completed" if answer == ("done",) else "failed"
        connection.execute(SETTLE, {**claim, "status": status})
    finally:
        over.set()
        if heart.is_alive():
            heart.join()


def main() -> None:
    """Work for ever."""
    idle = threading.Event()
    with psycopg.connect(autocommit=True) as connection:
        while True:
            claim = claim_one(connection)
            if claim is None:
                idle.wait(POLL_SECONDS)
            else:
                run(connection, claim)


if __name__ == "__main__":
    main()
