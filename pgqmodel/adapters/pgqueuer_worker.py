# /// script
# dependencies = ["pgqueuer>=1.0", "asyncpg"]
# ///
"""A worker of PgQueuer, as its documentation shows it. `schema` prints the library's schema instead."""

import asyncio
import os
import runpy
import sys

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer

ADDRESS = os.environ.get("DATABASE_URL", "")


async def work(job: Job) -> None:
    """The handler of all jobs."""
    connection = await asyncpg.connect(ADDRESS)
    try:
        assert await connection.fetchval("SELECT pgqmodel.work($1::bigint)", job.id) == "done", "the job failed"
    finally:
        await connection.close()


async def main() -> None:
    """Work for ever, on jobs without a limit and on those of which one may run at a time."""
    queuer = PgQueuer(AsyncpgDriver(await asyncpg.connect(ADDRESS)))
    for name, limit in {"work": 0, "prod": 1, "staging": 1}.items():
        queuer.entrypoint(name, concurrency_limit=limit)(work)
    await queuer.run()


if __name__ == "__main__" and sys.argv[1:] == ["schema"]:
    sys.argv = ["pgq", "install", "--dry-run"]
    runpy.run_module("pgqueuer", run_name="__main__")
elif __name__ == "__main__":
    asyncio.run(main())
