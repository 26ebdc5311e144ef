"""The plans of the reference queue's claim beside many finished jobs: `python tests/reference/explain.py 1000000`."""

from __future__ import annotations

import sys
from typing import Any

import psycopg

from pgqmodel.reference.statements import STATEMENTS
from pgqmodel.server import Cluster, Database
from pgqmodel.target import load

FILL = """
INSERT INTO job_queue (run, stage, status, attempts, finished_at)
SELECT 'old' || n / 10, n %% 10, 'completed', 1, now() FROM generate_series(1, %(finished)s) AS n
"""
LIVE_JOBS = 100
LIVE = """
INSERT INTO job_queue (run, stage, priority)
SELECT 'new' || n / 10, n %% 10, n %% 3 FROM generate_series(1, %(live)s) AS n
"""


def explain(server: Cluster, finished: int, options: str = "ANALYZE, BUFFERS, FORMAT JSON") -> Any:
    """The plan of a claim beside `finished` finished jobs and some live ones, as EXPLAIN gives it."""
    with Database(server, f"explain_{finished}") as database:
        for script in load("reference").setup:
            database.run_setup(script.sql, script.label)
        with psycopg.connect(database.conninfo(), autocommit=True) as connection:
            connection.execute(FILL, {"finished": finished})
            connection.execute(LIVE, {"live": LIVE_JOBS})
            connection.execute("VACUUM ANALYZE")
            plan = connection.execute(f"EXPLAIN ({options}) {STATEMENTS['claim']}", {"worker": "A"}).fetchall()
    return plan[0][0] if "JSON" in options else "\n".join(row[0] for row in plan)


def buffers(plan: Any) -> int:
    """How many pages the choice of a job read, from cache or disk."""
    (node,) = (part for part in plan[0]["Plan"]["Plans"] if part["Node Type"] == "Limit")
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])


def main() -> None:
    """Print the plan and the pages it read, beside no finished jobs and beside as many as asked for."""
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with Cluster(18, clock=False) as server:
        for finished in (0, asked):
            print(f"-- beside {finished:,} finished jobs: {buffers(explain(server, finished))} pages")
        print(explain(server, asked, "ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF"))


if __name__ == "__main__":
    main()
