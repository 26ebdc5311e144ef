"""One client's statements through the gate, each released as a step of its own."""

from __future__ import annotations

import time
from functools import partial

import trio

from pgqmodel.server import Cluster, Database, SideConnection, TrioConnection
from pgqmodel.wire import LineState
from pgqmodel.wire.proxy import Gate
from pgqmodel.world import blocked


async def run_steps(server: Cluster, steps: int) -> float:
    """Run so many statements; how many a second, once the client is connected."""
    with Database(server, "steps") as database, SideConnection(database.conninfo()) as side:
        gate = Gate(server.address, directory=server.socket_dir, is_blocked=partial(blocked, side), split_commits=False)
        async with gate, trio.open_nursery() as nursery:
            nursery.start_soon(_run, database, gate, steps)
            await gate.settle()
            while "A" not in gate.lines or gate.lines["A"].state is not LineState.HELD:
                await gate.settle()
            started = time.perf_counter()
            for _ in range(steps):
                gate.release(gate.lines["A"])
                await gate.settle()
            seconds = time.perf_counter() - started
    return steps / seconds


async def _run(database: Database, gate: Gate, steps: int) -> None:
    connection = await TrioConnection.connect(database.conninfo(host=gate.listen("A")))
    for _ in range(steps):
        await connection.execute("SELECT 1")
    await connection.close()
