"""Opening a world: server, database, set-up, gate and clients in this order; they are closed in the reverse order."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial

import trio
import trio.testing

from pgqmodel.cast import MAINTENANCE, PRODUCERS, WORKERS, cast
from pgqmodel.server import Database, Server, SideConnection
from pgqmodel.target import SCHEMA, Target, describe
from pgqmodel.wire.proxy import Gate
from pgqmodel.world.actors import Troupe, troupe
from pgqmodel.world.observer import Observer
from pgqmodel.world.world import World

__all__ = ["blocked", "open_world"]


@contextlib.asynccontextmanager
async def open_world(
    target: Target,
    server: Server,
    *,
    workers: int = WORKERS,
    producers: int = PRODUCERS,
    maintenance: int = MAINTENANCE,
) -> AsyncIterator[World]:
    """Open a world on `server`: the target is set up in a new database, and so many clients are connected.

    Raises TargetError if the target's SQL does not fit its database. Must run under a Trio clock of its own (the
    caller's `MockClock`), because waiting here is in real time.
    """
    with contextlib.ExitStack() as stack:
        if server.clock is not None:
            server.clock.reset(0)  # so that set-up draws the same random values in every world
        database = stack.enter_context(Database(server, server.database_name))
        for script in target.setup:
            database.run_setup(script.sql, script.label)
        if target.command is not None:
            database.run_setup(SCHEMA, "the schema pgqmodel")
        side = stack.enter_context(SideConnection(database.conninfo(), read_only=True))
        described = describe(target, side)
        gate = Gate(
            server.address,
            directory=server.socket_dir,
            is_blocked=partial(blocked, side),
            end_backend=lambda pid: side.query("SELECT pg_catalog.pg_terminate_backend($1)", (pid,)),
            pause=server.pause if server.can_crash else None,
        )
        try:
            async with gate, trio.open_nursery() as nursery:
                world = World(
                    server=server,
                    database=database,
                    target=described,
                    gate=gate,
                    side=side,
                    observer=Observer(described, side, database.clock),
                    nursery=nursery,
                    cast=cast(workers=workers, producers=producers, maintenance=maintenance),
                    troupe=stack.enter_context(troupe(described.command, gate, database))
                    if described.command
                    else None,
                )
                if world.troupe is not None:
                    gate.serve_programs(partial(_rest, world.troupe))
                await world.reset(clean=True)
                yield world
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _cause(group) from group


async def _rest(troupe: Troupe) -> None:
    """Wait until neither our own tasks nor the programs move."""
    await trio.testing.wait_all_tasks_blocked()
    await troupe.rest()


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group that Trio gathered."""
    first = group.exceptions[0]
    return _cause(first) if isinstance(first, BaseExceptionGroup) else first


_BLOCKED = """
SELECT a.pid, pg_catalog.pg_blocking_pids(a.pid) AS by, a.wait_event = 'PgSleep' AS asleep
FROM pg_catalog.pg_stat_activity a WHERE a.pid = ANY($1) AND a.state = 'active'
"""


def blocked(side: SideConnection, pids: Sequence[int]) -> dict[int, list[int]]:
    """For each backend in `pids` that waits, the backends it waits for; an empty list if it sleeps on the clock."""
    rows = side.query(_BLOCKED, (list(pids),))
    return {row["pid"]: row["by"] for row in rows if row["by"] or row["asleep"]}
