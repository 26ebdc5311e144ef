"""Running a specification's orders through the gate, as the isolationtester runs them on the server."""

from __future__ import annotations

import time
from functools import partial

import trio
import trio.testing

from bench.specifications import SETUP, TEARDOWN, Specification
from pgqmodel.server import Cluster, Database, SideConnection, TrioConnection
from pgqmodel.wire import Gate, LineState
from pgqmodel.world import blocked


async def run_orders(server: Cluster, database: Database, specification: Specification) -> float:
    """Run every order; how many a second, once both sessions are connected."""
    with SideConnection(database.conninfo()) as side:
        async with (
            Gate(
                server.address, directory=server.socket_dir, is_blocked=partial(blocked, side), split_commits=False
            ) as gate,
            trio.open_nursery() as nursery,
        ):
            connections: dict[str, TrioConnection] = {}

            async def connect(name: str) -> None:
                connections[name] = await TrioConnection.connect(database.conninfo(host=gate.listen(name)))

            for name in "AB":
                nursery.start_soon(connect, name)
            await gate.settle()
            started = time.perf_counter()
            for order in specification.orders:
                await _run_order(gate, side, connections, specification, order)
                side.execute(TEARDOWN)
            seconds = time.perf_counter() - started
            nursery.cancel_scope.cancel()
    return len(specification.orders) / seconds


async def _run_order(
    gate: Gate,
    side: SideConnection,
    connections: dict[str, TrioConnection],
    specification: Specification,
    order: str,
) -> None:
    """Set up, run the sessions' statements in this order. The sessions come to the gate meanwhile, and wait there."""
    async with trio.open_nursery() as nursery:
        with side.executing(SETUP):
            for name, connection in connections.items():
                nursery.start_soon(_session, connection, specification, name)
            await gate.settle()
        if specification.session_setup:
            for name in connections:
                gate.release(gate.lines[name])
            await gate.settle()
        for name in order:
            line = gate.lines[name]
            while line.state is not LineState.HELD:
                await gate.settle()
            gate.release(line)
            await gate.settle()


async def _session(connection: TrioConnection, specification: Specification, name: str) -> None:
    for sql in (specification.session_setup, *specification.statements):
        if sql:
            await connection.run(sql.format(name=name))
