"""Who does empty jobs: the reference's statements by pgbench, the reference's worker, and the queues beside it."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psycopg
from attrs import frozen

from bench.workers import become, open_pgqueuer, open_procrastinate, work_pgqueuer, work_procrastinate, work_reference
from pgqmodel.reference.statements import STATEMENTS
from pgqmodel.server import Cluster
from pgqmodel.simulation.leash import Leash
from pgqmodel.simulation.processes import CONTEXT, begin
from pgqmodel.target import load

__all__ = ["Peer", "Turn", "peers"]

CONTEXT.set_forkserver_preload(["pgqmodel.client.worker_process", "procrastinate", "pgqueuer.qm", "pgqueuer.db"])

_REFERENCE_DATES = "SELECT min(heartbeat_at), max(finished_at), count(finished_at) FROM job_queue"


@frozen(kw_only=True)
class Turn:
    """One peer's turn: on which server and database, over how many connections, with how many jobs."""

    server: Cluster
    leash: Leash
    conninfo: str
    directory: Path
    connections: int
    jobs: int


@frozen(kw_only=True)
class Peer:
    """A queue: how it is filled, started and looked at. `needs` is the package without which it is left out.

    `dates` gives the first claim, the last completion and how many there were, all as the database dates them.
    """

    name: str
    fill: Callable[[Turn], object]
    start: Callable[[Turn], Sequence[ForkServerProcess]]
    table: str
    unfinished: str
    dates: str
    needs: str = "pgqmodel"

    @property
    def installed(self) -> bool:
        """Whether it can take part."""
        return importlib.util.find_spec(self.needs) is not None


def peers() -> list[Peer]:
    """Everybody, the limit first."""
    reference = partial(
        Peer,
        fill=_fill_reference,
        table="job_queue",
        unfinished="SELECT FROM job_queue WHERE status IN ('pending', 'running')",
        dates=_REFERENCE_DATES,
    )
    pgqueuer = partial(
        Peer,
        needs="pgqueuer",
        fill=lambda turn: asyncio.run(_fill_pgqueuer(turn)),
        table="pgqueuer",
        unfinished="SELECT FROM pgqueuer",
        dates="SELECT min(created) FILTER (WHERE status = 'picked'),"
        " max(created) FILTER (WHERE status = 'successful'), "
        "count(*) FILTER (WHERE status = 'successful') FROM pgqueuer_log",
    )
    return [
        reference(name="pgbench, prepared statements", start=partial(_start_pgbench, protocol="prepared")),
        reference(name="pgbench, statements parsed each time", start=partial(_start_pgbench, protocol="extended")),
        reference(name="pgqmodel worker", start=partial(_start_each, work_reference)),
        Peer(
            name="procrastinate",
            needs="procrastinate",
            fill=lambda turn: asyncio.run(_fill_procrastinate(turn)),
            start=partial(_start_each, work_procrastinate),
            table="procrastinate_jobs",
            unfinished="SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing')",
            dates="SELECT min(at) FILTER (WHERE type = 'started'), max(at) FILTER (WHERE type = 'succeeded'), "
            "count(*) FILTER (WHERE type = 'succeeded') FROM procrastinate_events",
        ),
        pgqueuer(name="pgqueuer, one job at a time", start=partial(_start_each, partial(work_pgqueuer, batch=1))),
        pgqueuer(name="pgqueuer, ten at a time", start=partial(_start_each, partial(work_pgqueuer, batch=10))),
    ]


def _start_each(run: Callable[[str, str], None], turn: Turn) -> list[ForkServerProcess]:
    """A process for each connection."""
    names = [f"w{number}" for number in range(1, turn.connections + 1)]
    return [begin(turn.leash, name, run, turn.conninfo, name) for name in names]


# -- the reference -------------------------------------------------------------------------------------------------


def _fill_reference(turn: Turn) -> None:
    target = load("reference")
    with psycopg.connect(turn.conninfo, autocommit=True) as connection:
        for script in target.setup:
            connection.execute(script.sql.encode())
        connection.execute("INSERT INTO job_queue (payload) SELECT '{}' FROM generate_series(1, %s)", [turn.jobs])


def _start_pgbench(turn: Turn, *, protocol: str) -> list[ForkServerProcess]:
    """One pgbench with a thread for each connection: it claims a job, keeps what it got, completes it."""
    claim, complete = (re.sub(r"%\((\w+)\)s", r":\1", STATEMENTS[name]).strip() for name in ("claim", "complete"))
    script = turn.directory / "claim_and_complete.sql"
    script.write_text(f"{claim} \\gset\n{complete};\n", encoding="utf-8")
    each = turn.jobs // turn.connections
    words = [
        str(turn.server.installation.bin / "pgbench"),
        *("--no-vacuum", f"--protocol={protocol}", "--define=worker=w1", f"--file={script}"),
        *(f"--client={turn.connections}", f"--jobs={turn.connections}", f"--transactions={each}"),
        turn.conninfo,
    ]
    return [begin(turn.leash, "pgbench", become, words)]


# -- procrastinate -------------------------------------------------------------------------------------------------


async def _fill_procrastinate(turn: Turn) -> None:
    application, nothing = open_procrastinate(turn.conninfo)
    async with application.open_async():
        await application.schema_manager.apply_schema_async()
        await nothing.batch_defer_async(*({} for _ in range(turn.jobs)))


# -- pgqueuer ------------------------------------------------------------------------------------------------------


async def _fill_pgqueuer(turn: Turn) -> None:
    queries = await open_pgqueuer(turn.conninfo)
    await queries.install()
    await queries.enqueue(["nothing"] * turn.jobs, [None] * turn.jobs, [0] * turn.jobs)
    await queries.driver._connection.close()  # it closes only what it opened
