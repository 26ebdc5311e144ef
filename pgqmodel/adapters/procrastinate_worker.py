# /// script
# dependencies = ["procrastinate>=3.0", "psycopg[binary]"]
# ///
"""A worker of procrastinate, as its documentation shows it. `schema` prints the library's schema instead."""

import os
import sys

import psycopg
from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.schema import SchemaManager

ADDRESS = os.environ.get("DATABASE_URL", "")
app = App(connector=PsycopgConnector(conninfo=ADDRESS))


@app.task(name="work", pass_context=True)
async def work(context: JobContext) -> None:
    """The handler of all jobs."""
    async with await psycopg.AsyncConnection.connect(ADDRESS, autocommit=True) as connection:
        answer = await connection.execute("SELECT pgqmodel.work(%s::bigint)", [context.job.id])
        assert await answer.fetchone() == ("done",), "the job failed"


if __name__ == "__main__" and sys.argv[1:] == ["schema"]:
    sys.stdout.write(SchemaManager.get_schema())
elif __name__ == "__main__":
    app.run_worker()
