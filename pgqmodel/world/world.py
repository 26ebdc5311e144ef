"""The world: a real database, a gate in front of it, the clients behind the gate, and the history of events.

It records events and judges nothing. `pgqmodel.steps` says what each step does. After `settle` each client is idle,
waits at the gate, or is blocked as the server confirmed, so the same steps give the same events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import trio
from attrs import define, field

from pgqmodel.checks import waiting_in_cycles
from pgqmodel.errors import StuckError
from pgqmodel.history import Advanced, Connected, Ended, Event, Invoked
from pgqmodel.operations import Lease, Role
from pgqmodel.server import Database, Server, SideConnection, TrioConnection
from pgqmodel.steps import KINDS, Step
from pgqmodel.steps.deadlock import DEADLOCK_TIMEOUT_SECONDS
from pgqmodel.target import Target
from pgqmodel.wire import LineState, Unit
from pgqmodel.wire.line import Line
from pgqmodel.wire.proxy import Gate
from pgqmodel.world.calling import clock_offset, invoke
from pgqmodel.world.chance import sowing
from pgqmodel.world.chronicle import record_block, record_losses, record_return, record_units
from pgqmodel.world.client import Client
from pgqmodel.world.observer import Observer

__all__ = ["World"]

CONNECT_ROUNDS_MAX = 200
_WAITING = frozenset({LineState.HELD, LineState.COMMIT_HELD})
_WAITS_SINCE = """
SELECT pid FROM pg_catalog.pg_locks
WHERE NOT granted AND waitstart > pg_catalog.to_timestamp($1::float8) + interval '1 millisecond'
"""
_LOCK_HOLDERS = "SELECT DISTINCT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory'"


@define(kw_only=True, eq=False)
class World:
    """One run's database, gate and clients; see `open_world`."""

    server: Server
    database: Database
    target: Target
    gate: Gate
    side: SideConnection
    observer: Observer
    nursery: trio.Nursery
    cast: Mapping[str, Role]
    """The clients that every story starts with."""
    chance: int = 0
    """The seed of the server's random values, from the next reset on."""
    clients: dict[str, Client] = field(factory=dict)
    history: list[Event] = field(factory=list)
    step: int = 0
    calls: int = 0
    enqueued: int = 0

    # -- what there is ---------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The server's time, in seconds since the epoch."""
        return float(self.database.clock.now_us / 1e6)

    def line(self, client: Client) -> Line | None:
        """The client's connection at the gate, or None if it is not connected."""
        return self.gate.lines.get(client.name)

    def waiting(self) -> list[Client]:
        """The clients that wait at the gate, in the order of their names."""
        return [client for client in self.clients.values() if self.waits(client)]

    def idle(self, role: Role) -> list[Client]:
        """The clients of a role that could begin an operation."""
        return [client for client in self.clients.values() if client.role is role and client.idle]

    def deadlocked(self) -> list[Client]:
        """The clients in a cycle of waits, in the order of their names."""
        owners = {line.backend_pid: name for name, line in self.gate.lines.items()}
        waits = {
            name: [owners[pid] for pid in line.blocked_by if pid in owners]
            for name, line in self.gate.lines.items()
            if line.blocked_by
        }
        cycle = waiting_in_cycles(waits)
        return [client for client in self.clients.values() if client.name in cycle]

    def victims(self) -> list[Client]:
        """The clients in a cycle whose deadlock detector has not fired yet.

        The detector fires once for each wait, when the clock first moves after its begin. The client that closed the
        cycle is always among them. If the server's clock is not ours we cannot know, and all clients in the cycle are.
        """
        cycle = self.deadlocked()
        oldest = self.now - DEADLOCK_TIMEOUT_SECONDS
        pids = {row["pid"] for row in self.side.query(_WAITS_SINCE, (oldest,))}
        fresh = [client for client in cycle if (line := self.line(client)) and line.backend_pid in pids]
        return fresh or cycle

    def waits(self, client: Client) -> bool:
        """Whether a client waits at the gate."""
        line = self.line(client)
        return line is not None and line.state in _WAITING

    def enabled(self) -> list[Step]:
        """The steps that can be taken now, for each kind in the simplest form."""
        return [step for kind in KINDS.values() for step in kind.options(self) if step.refuse(self) is None]

    # -- what a step does ------------------------------------------------------------------------------------------

    def invoke(self, client: Client, operation: str, arguments: Mapping[str, Any]) -> None:
        """Start a client's program for an operation; it stops at its first gate."""
        invoke(self, client, operation, arguments)

    def move_clock(self, seconds: float, *, but: Line | None = None) -> None:
        """Move the clock and make all waiting backends look at it, `but` first; alone they would do so by chance."""
        self.gate.waiters.hold(but=but)
        self.database.clock.advance(round(seconds * 1e6))
        for line in self.gate.lines.values():
            if line.blocked_by is not None:
                self.server.poke(line.backend_pid)

    # -- settling --------------------------------------------------------------------------------------------------

    async def settle(self, lost: Mapping[str, Sequence[Unit]] = MappingProxyType({})) -> None:
        """Wait until nothing moves, then record what the server and the clients have done.

        `lost` holds the units that ran on lines which are closed now.
        """
        before = {name: line.blocked_by for name, line in self.gate.lines.items()}
        await self.gate.settle()
        record_losses(self)
        committed = tuple(dict.fromkeys(record_units(self, lost)))
        if committed:
            self.observe(committed)
        for client in self.clients.values():
            record_block(self, client, before.get(client.name))
            if client.call is not None and client.call.over:
                record_return(self, client, client.call)

    def end_session(self, client: Client, *, crashed: bool = False) -> None:
        """Record the end of a client's session."""
        self.emit(Ended, client=client.name, crashed=crashed)
        self.lose_session(client)

    def lose_session(self, client: Client) -> None:
        """A client's session has ended. If its transaction was its lease, the client knows that its claim is over."""
        if Lease.TRANSACTION in self.target.leases:
            client.held = []

    def observe(self, by: tuple[int, ...]) -> None:
        """Look at the database, and record the changes; `by` are the calls that committed since the last look."""
        observed = self.observer.look(step=self.step, by=by)
        if observed is None:
            return
        self.history.append(observed)
        for client in self.clients.values():
            if client.call is not None and by == (client.call.number,):
                client.call.changed |= {name: row.state if row else None for name, row in observed.jobs.items()}

    def emit(self, kind: type[Event], **fields: Any) -> None:
        """Record an event of the present step."""
        self.history.append(kind(step=self.step, **fields))

    # -- clients ---------------------------------------------------------------------------------------------------

    async def join(self, name: str, worker: str, role: Role) -> None:
        """Add a client, with its name in the story and its name in the queue."""
        client = self.clients[name] = Client(
            name=name, worker=worker, role=role, habits=self.target.habits, kinds=self.target.kinds
        )
        await self.connect(client)

    async def connect(self, client: Client) -> None:
        """Open a session for a client that has none; StuckError if the server does not accept it."""
        host = self.gate.listen(client.name)
        self.nursery.start_soon(self._open_connection, client, host)
        await self.gate.settle()
        for _ in range(CONNECT_ROUNDS_MAX):
            if client.connection is not None:
                break
            await self.gate.settle()
        else:
            message = f"{client.name} cannot connect; expected the server to let it in at once. Its log says why"
            raise StuckError(message)
        self._greet(client)
        await self._sow([client])

    def _greet(self, client: Client) -> None:
        """A client has a session, and its clock shows what it shows in this story."""
        client.ahead = clock_offset(self.target, client, self.cast, self.chance)
        self.emit(Connected, client=client.name, worker=client.worker, ahead=client.ahead)

    async def _sow(self, clients: Iterable[Client]) -> None:
        """Set the sequence of `random()` in the sessions of these clients."""
        if self.target.draws_random:
            lives = Counter(event.client for event in self.history if isinstance(event, Connected))
            for client in clients:
                assert client.connection is not None
                sql = sowing(self.chance, client.name, lives[client.name])
                self.nursery.start_soon(client.connection.run, sql)
            await self.gate.settle()

    async def _open_connection(self, client: Client, host: str) -> None:
        client.connection = await TrioConnection.connect(
            self.database.conninfo(host=host, port="5432", application_name=client.name)
        )

    async def reset(self, *, clean: bool = False) -> None:
        """Restore the state after set-up: rows, sequences, clock and clients.

        A connection is kept if it is idle and no statement has left anything in its session.
        """
        await self._leave()
        self.database.reset(clean=clean)
        self.database.clock.reset(self.chance)
        self.observer.reset()
        self.step = self.calls = self.enqueued = 0
        await self._fill()
        self.history = []
        for client in self.clients.values():
            self._greet(client)
        await self._sow(self.clients.values())
        self.emit(Advanced, seconds=0.0, now=self.now)
        self.observe(())

    async def _leave(self) -> None:
        """End what an earlier story left behind: calls, twins, beliefs and session locks."""
        acted = {event.client for event in self.history if isinstance(event, Invoked)}
        for client in list(self.clients.values()):
            client.held, client.worker, client.starts = [], client.name, 0
            line = self.line(client)
            # A session with settings or prepared statements of an earlier story would change this one.
            marked = self.target.leaves_marks and client.name in acted
            over = client.call is not None or client.name not in self.cast or marked
            if line is not None and over:
                assert client.connection is not None
                client.connection.abandoned = True
                await self.gate.cut(line, answer_lost=False)
                await self.gate.settle()
                client.connection, client.call = None, None
            if client.name not in self.cast:
                del self.clients[client.name]
        await self._unlock_sessions()

    async def _unlock_sessions(self) -> None:
        """Release the advisory locks of the sessions that are kept between stories."""
        holders = {row["pid"] for row in self.side.query(_LOCK_HOLDERS)}
        lines = [line for line in self.gate.lines.values() if line.backend_pid in holders]
        for client in self.clients.values():
            if client.connection is not None and self.line(client) in lines:
                self.nursery.start_soon(client.connection.run, "SELECT pg_catalog.pg_advisory_unlock_all()")
        await self.gate.settle()
        for line in lines:
            self.gate.release(line)
        await self.gate.settle()
        for line in lines:
            line.take_ran()

    async def _fill(self) -> None:
        for name, role in self.cast.items():
            client = self.clients.get(name)
            if client is None:
                await self.join(name, name, role)
            elif client.connection is None:
                await self.connect(client)
