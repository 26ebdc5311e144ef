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
from pgqmodel.history import Advanced, Connected, Ended, Event
from pgqmodel.operations import Lease, Role
from pgqmodel.server import Database, Server, SideConnection, TrioConnection
from pgqmodel.steps import KINDS, Step
from pgqmodel.steps.deadlock import DEADLOCK_TIMEOUT_SECONDS
from pgqmodel.target import Target
from pgqmodel.wire import LineState, Unit
from pgqmodel.wire.line import Line
from pgqmodel.wire.proxy import Gate
from pgqmodel.world.actors import Actor, Troupe
from pgqmodel.world.between_stories import fill, leave
from pgqmodel.world.calling import clock_offset, invoke
from pgqmodel.world.chance import sowing
from pgqmodel.world.chronicle import record_block, record_losses, record_return, record_units
from pgqmodel.world.client import Client
from pgqmodel.world.inferring import bury_dead, record_programs
from pgqmodel.world.observer import Observer
from pgqmodel.world.timers import has_timer, pass_time, wait_for_timers

__all__ = ["World"]

CONNECT_ROUNDS_MAX = 200
_WAITING = frozenset({LineState.HELD, LineState.COMMIT_HELD})
_WAITS_SINCE = """
SELECT pid FROM pg_catalog.pg_locks
WHERE NOT granted AND waitstart > pg_catalog.to_timestamp($1::float8) + interval '1 millisecond'
"""


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
    troupe: Troupe | None = None
    """The programs, if the target's workers are programs."""
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

    @property
    def server_us(self) -> int:
        """The server's own time in microseconds: the story's, and the ticks of its statements."""
        return self.database.clock.now_us + self.database.clock.ticks

    @property
    def actors(self) -> Mapping[str, Actor]:
        """The worker programs by name; none if workers run statements."""
        return self.troupe.actors if self.troupe is not None else {}

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
        self.align()
        for line in self.gate.lines.values():
            if line.blocked_by is not None:
                self.server.poke(line.backend_pid)

    async def let_time_pass(self, seconds: float) -> None:
        """Move the clock; programs act at each of their deadlines on the way."""
        await pass_time(self, seconds)

    def has_timer(self) -> bool:
        """Whether some program waits for a moment."""
        return has_timer(self)

    async def wait_for_timers(self) -> float:
        """Let time pass until a program does something; the seconds that have passed."""
        return await wait_for_timers(self)

    def tick(self) -> None:
        """A unit is let through: a microsecond passes."""
        self.database.clock.tick()
        self.align()

    def align(self) -> None:
        """Set the clocks of programs to the server's."""
        if self.troupe is not None:
            self.troupe.set_now(self.server_us)

    # -- settling --------------------------------------------------------------------------------------------------

    async def settle(self, lost: Mapping[str, Sequence[Unit]] = MappingProxyType({})) -> None:
        """Wait until nothing moves, then record what the server and the clients have done.

        `lost` holds the units that ran on lines which are closed now.
        """
        before = {name: line.blocked_by for name, line in self.gate.lines.items()}
        await self.gate.settle()
        if self.troupe is not None:
            await self._settle_programs(lost, before)
        record_losses(self)
        committed = tuple(dict.fromkeys(record_units(self, lost)))
        if committed:
            self.observe(committed)
        for client in self.clients.values():
            record_block(self, client, before.get(client.name))
            if client.call is not None and client.call.over:
                record_return(self, client, client.call)

    async def _settle_programs(
        self,
        lost: Mapping[str, Sequence[Unit]],
        before: Mapping[str, list[int] | None],
    ) -> None:
        """Record what the programs did; bring the news to those that listen, and see which have ended."""
        record_programs(self, lost, before)
        listening = [line for line in self.gate.lines.values() if line.session.listening]
        for line in listening:
            if line.state is LineState.IDLE:
                self.gate.fence(line)
                await self.gate.settle()
        while bury_dead(self):
            await self.gate.settle()
            record_programs(self, {}, before)

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

        A connection is kept if it is idle and no statement has left anything in its session. Stories of programs are
        slow, and each of them has empty tables: a row's place among dead ones would depend on the stories before.
        """
        await leave(self)
        self.database.reset(clean=clean or self.troupe is not None)
        self.database.clock.reset(self.chance)
        self.observer.reset()
        self.step = self.calls = self.enqueued = 0
        await fill(self)
        self.history = []
        connected = [client for client in self.clients.values() if client.connection is not None]
        for client in connected:
            self._greet(client)
        await self._sow(connected)
        self.emit(Advanced, seconds=0.0, now=self.now)
        self.observe(())
