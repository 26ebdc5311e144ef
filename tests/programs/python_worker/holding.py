"""A worker that holds its job by an open transaction: nobody sees that the job runs until it is done.

With FAULTS=unlocked it forgets to lock the row.
"""

from __future__ import annotations

import os
import threading

import psycopg

LOCK = "" if os.environ.get("FAULTS") == "unlocked" else " FOR UPDATE SKIP LOCKED"
FIND = f"SELECT id FROM jobs WHERE status = 'queued' ORDER BY id{LOCK} LIMIT 1"
SETTLE = "UPDATE jobs SET status = %s WHERE id = %s AND status = 'queued'"


def work_one(connection: psycopg.Connection) -> bool:
    """Do the next job, if there is one, in one transaction."""
    with connection.transaction():
        found = connection.execute(FIND).fetchone()
        if found is not None:
            answer = connection.execute("SELECT pgqmodel.work(%s)", found).fetchone()
            connection.execute(SETTLE, ("completed" if answer == ("done",) else "failed", *found))
    return found is not None


def main() -> None:
    """Work for ever."""
    idle = threading.Event()
    with psycopg.connect(autocommit=True) as connection:
        while True:
            if not work_one(connection):
                idle.wait(5)


if __name__ == "__main__":
    main()
