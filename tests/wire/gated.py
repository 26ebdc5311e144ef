"""Clients behind a gate on a real server, one decision at a time. What the tests of the gate share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import psycopg
import trio
from attrs import define, field

from pgqmodel.server import Cluster, Database, SideConnection, TrioConnection
from pgqmodel.wire import LineState
from pgqmodel.wire.line import Line
from pgqmodel.wire.proxy import Gate
from pgqmodel.world import blocked

__all__ = ["Program", "Stage", "receive", "staged"]

Program = Callable[[TrioConnection], Awaitable[Any]]
WAITING = {LineState.HELD, LineState.COMMIT_HELD}


@define(kw_only=True)
class Stage:
    """A database, a gate and the clients behind it. `answers` has what each client's programs came to, in order."""

    database: Database
    side: SideConnection
    gate: Gate
    nursery: trio.Nursery
    connections: dict[str, TrioConnection] = field(factory=dict)
    answers: dict[str, list[Any]] = field(factory=dict)

    async def connect(self, *names: str, **parameters: str) -> None:
        """Let clients in, one after the other."""
        for name in names:
            conninfo = self.database.conninfo(host=self.gate.listen(name), **parameters)
            self.nursery.start_soon(self._connect, name, conninfo)
            await self.gate.settle()
            while name not in self.connections:
                await self.gate.settle()

    async def _connect(self, name: str, conninfo: str) -> None:
        self.connections[name] = await TrioConnection.connect(conninfo)
        self.answers[name] = []

    async def reconnect(self, name: str) -> None:
        """Let a client in again whose connection is gone."""
        gone = self.connections.pop(name)
        gone.pgconn.finish()
        await self.connect(name)

    async def begin(self, name: str, program: str | Program) -> None:
        """A client starts a program (or a statement), which waits at its first gate."""
        run = partial(fetch, sql=program) if isinstance(program, str) else program
        self.nursery.start_soon(self._run, name, run)
        await self.gate.settle()

    async def _run(self, name: str, program: Program) -> None:
        try:
            answer = await program(self.connections[name])
        except psycopg.Error as error:
            answer = error
        self.answers[name].append(answer)

    def line(self, name: str) -> Line:
        """A client's connection at the gate."""
        return self.gate.lines[name]

    async def go(self, *names: str) -> None:
        """Let clients through one gate each, in this order."""
        for name in names:
            line = self.line(name)
            assert line.state in WAITING, (name, line.state)
            if line.state is LineState.HELD:
                self.gate.release(line)
            else:
                self.gate.commit(line)
            await self.gate.settle()

    async def finish(self, name: str) -> Any:
        """Let a client through every gate until it comes to rest; its last answer."""
        await self.gate.settle()
        while self.line(name).state in WAITING:
            await self.go(name)
        return self.answers[name][-1]


async def fetch(connection: TrioConnection, sql: str) -> list[tuple[Any, ...]] | str | None:
    """Run one statement as an unmodified client would: its rows, or its tag if it has none."""
    cursor = await connection.execute(sql.encode())
    return await cursor.fetchall() if cursor.description else cursor.statusmessage


async def receive(stream: trio.SocketStream, received: list[bytes]) -> None:
    """Gather what a client without a driver is sent, until its connection is over."""
    with contextlib.suppress(trio.ClosedResourceError):
        async for data in stream:
            received.append(data)


@contextlib.asynccontextmanager
async def staged(server: Cluster, setup: str, *names: str) -> AsyncIterator[Stage]:
    """A stage on which `setup` has run and clients of these names are connected."""
    with Database(server, "stage") as database, SideConnection(database.conninfo()) as side:
        side.execute(setup)
        gate = Gate(server.address, directory=server.socket_dir, is_blocked=partial(blocked, side))
        async with gate, trio.open_nursery() as nursery:
            stage = Stage(database=database, side=side, gate=gate, nursery=nursery)
            try:
                await stage.connect(*names)
                yield stage
            finally:
                for connection in stage.connections.values():
                    connection.pgconn.finish()
                nursery.cancel_scope.cancel()
