"""Running a specification's orders through the gate, as the isolationtester runs them on the server."""

from __future__ import annotations

import itertools
import time
from functools import partial

import trio
import trio.testing

from bench.specifications import SETUP, TEARDOWN, Specification
from pgqmodel.server import Cluster, Database, SideConnection, TrioConnection
from pgqmodel.wire import LineState
from pgqmodel.wire.proxy import Gate
from pgqmodel.world import blocked


async def run_orders(server: Cluster, database: Database, specification: Specification) -> float:
    """Run every order; how many a second, once both sessions have come to the gate with their first statement."""
    with SideConnection(database.conninfo()) as side:
        async with (
            Gate(
                server.address, directory=server.socket_dir, is_blocked=partial(blocked, side), split_commits=False
            ) as gate,
            trio.open_nursery() as nursery,
        ):
            for name in "AB":
                nursery.start_soon(_session, database.conninfo(host=gate.listen(name)), specification, name)
            await gate.settle()
            started = time.perf_counter()
            for order in specification.orders:
                side.execute(SETUP)
                await _run_order(gate, specification, order)
                side.execute(TEARDOWN)
            seconds = time.perf_counter() - started
            nursery.cancel_scope.cancel()
    return len(specification.orders) / seconds


async def _run_order(gate: Gate, specification: Specification, order: str) -> None:
    """Run the sessions' statements in this order; behind its last one each waits with the first of the next order."""
    for name in ("AB" if specification.session_setup else "") + order:
        line = gate.lines[name]
        while line.state is not LineState.HELD:
            await gate.settle()
        gate.release(line)
        await gate.settle()


async def _session(conninfo: str, specification: Specification, name: str) -> None:
    connection = await TrioConnection.connect(conninfo)
    statements = [sql.format(name=name) for sql in (specification.session_setup, *specification.statements) if sql]
    for sql in itertools.cycle(statements):
        await connection.run(sql)
