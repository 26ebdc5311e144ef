"""The world: a real database, a gate in front of it, and the clients behind the gate. `perform(step)` makes things happen.

It records what happened as events and judges nothing. Every step ends settled: each client is idle, waits at the gate,
or is confirmed blocked on the server, so the same steps give the same events.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import trio
from attrs import define, field

from pgqmodel.errors import ReplayMismatchError
from pgqmodel.history import (
    Advanced,
    Blocked,
    Committed,
    Connected,
    Deadlocked,
    Draining,
    Ended,
    Event,
    Invoked,
    Ran,
    Restarted,
    Returned,
)
from pgqmodel.operations import OPERATIONS, Role, Status
from pgqmodel.server import LOST, Database, Server, SideConnection, TrioConnection
from pgqmodel.steps import Action, Fate, Step
from pgqmodel.target import Target, describe
from pgqmodel.wire import Gate, Line, LineState, StatementKind, Unit
from pgqmodel.world.client import Belief, Call, Client, believe
from pgqmodel.world.observer import Observer

__all__ = ["DEADLOCK_TIMEOUT_SECONDS", "World", "open_world"]

DEADLOCK_TIMEOUT_SECONDS = 0.1
GATES_MAX = 200
WORKER_NAMES = "ABCDEFGHJKLNQRSTUVWXYZ"
_WAITING = frozenset({LineState.HELD, LineState.COMMIT_HELD})


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
    workers: int
    clients: dict[str, Client] = field(factory=dict)
    history: list[Event] = field(factory=list)
    step: int = 0
    calls: int = 0
    enqueued: int = 0

    # -- what there is ---------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The server's time, in seconds since the epoch."""
        return self.database.clock.now_us / 1e6

    def line(self, client: Client) -> Line | None:
        """The client's present connection at the gate."""
        return self.gate.lines.get(client.name)

    def waiting(self) -> list[Client]:
        """The clients that wait at the gate, in the order of their names."""
        return [client for client in self.clients.values() if self._state(client) in _WAITING]

    def idle(self, role: Role) -> list[Client]:
        """The clients of a role that could begin an operation."""
        return [client for client in self.clients.values() if client.role is role and client.idle]

    def deadlocked(self) -> list[Client]:
        """The clients in a cycle of waits, in the order of their names."""
        owners = {line.backend_pid: name for name, line in self.gate.lines.items()}
        waits = {name: {owners.get(pid) for pid in line.blocked_by or ()} for name, line in self.gate.lines.items()}
        return [client for client in self.clients.values() if _reaches(client.name, client.name, waits)]

    def _state(self, client: Client) -> LineState | None:
        line = self.line(client)
        return line.state if line is not None else None

    # -- steps -----------------------------------------------------------------------------------------------------

    def refusal(self, step: Step) -> str | None:
        """Why a step cannot be taken now, or None if it can."""
        if step.client and step.client not in self.clients:
            return f"there is no client {step.client}"
        return _REFUSALS[step.action](self, step)

    async def perform(self, step: Step) -> None:
        """Take one step and settle; ReplayMismatchError if it cannot be taken now."""
        reason = self.refusal(step)
        if reason is not None:
            message = f"step {self.step + 1} cannot be taken: {reason}; it says {step.to_json()}"
            raise ReplayMismatchError(message)
        self.step += 1
        await _PERFORM[step.action](self, step)

    async def _begin(self, step: Step) -> None:
        client = self.clients[step.client]
        self.calls += 1
        self.enqueued += step.operation == "enqueue"
        belief = client.belief if OPERATIONS[step.operation].role is Role.WORKER else None
        job = step.arguments.get("job") or (belief.job if belief else None)
        call = Call(number=self.calls, operation=step.operation, job=job, claim=belief.call if belief else None)
        client.call = call
        values = self._values(client, call, step.arguments)
        told = {"line": values["line"]} if step.operation == "log" else {}
        self._emit(
            Invoked,
            client=client.name,
            worker=client.worker,
            call=call.number,
            operation=call.operation,
            job=job,
            claim=call.claim,
            arguments=dict(step.arguments) | told,
        )
        self.nursery.start_soon(self._run_call, client, call, values)
        await self._run_up(client, step.stop)

    async def _run_call(self, client: Client, call: Call, values: Mapping[str, Any]) -> None:
        """The client's side of one call: a Trio task, as a worker's would be."""
        assert client.connection is not None
        try:
            call.outcome = await self.target.operations[call.operation].run(client.connection, values)
        except LOST:
            call.lost = True

    def _values(self, client: Client, call: Call, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of an operation: its own, its claim's columns, the settings."""
        values: dict[str, Any] = dict.fromkeys(OPERATIONS[call.operation].parameters)
        values |= {"priority": 0, "payload": "{}", "error": "boom", "line": f"{client.name} says {call.number}"}
        values |= self.target.settings
        values |= arguments
        if client.belief is not None:
            values |= {"environment": client.belief.environment} | dict(client.belief.row)
        if call.job is not None:
            values["job"] = self.observer.names.identifier(call.job)
        return values | {"worker": client.worker}

    async def _go(self, step: Step) -> None:
        client = self.clients[step.client]
        await self._pass(client)
        await self._run_up(client, step.stop)

    async def _run_up(self, client: Client, stop: int) -> None:
        """Let a client go on until its call is over, it is blocked, or it stands at its `stop`-th gate."""
        await self._settle()
        for gate in range(1, GATES_MAX):
            if self._state(client) not in _WAITING or gate == stop:
                return
            await self._pass(client)

    async def _pass(self, client: Client) -> None:
        """Let a waiting client through one gate."""
        line = self.line(client)
        assert line is not None
        if line.state is LineState.COMMIT_HELD:
            self.gate.commit(line)
        else:
            self.gate.release(line)
        await self._settle()

    async def _cut(self, step: Step) -> None:
        await self._sever(self.clients[step.client], step.fate, crashed=False)

    async def _crash(self, step: Step) -> None:
        client = self.clients[step.client]
        await self._sever(client, step.fate, crashed=True)
        client.belief = None
        await self._connect(client)

    async def _sever(self, client: Client, fate: Fate, *, crashed: bool) -> None:
        line = self.line(client)
        assert line is not None
        ran = await self.gate.cut(line, answer_lost=fate is Fate.AFTER)
        client.connection = None
        await self._settle(lost={client.name: ran})
        self._emit(Ended, client=client.name, crashed=crashed)
        self._observe(())

    async def _twin(self, step: Step) -> None:
        original = self.clients[step.client]
        number = sum(client.worker == original.worker for client in self.clients.values())
        await self._join(f"{original.worker}{number + 1}", original.worker, Role.WORKER)

    async def _reconnect(self, step: Step) -> None:
        await self._connect(self.clients[step.client])

    async def _advance(self, step: Step) -> None:
        self._move_clock(step.seconds)
        self._emit(Advanced, seconds=step.seconds, now=self.now)
        await self._settle()

    def _move_clock(self, seconds: float) -> None:
        self.database.clock.advance(round(seconds * 1e6))
        for line in self.gate.lines.values():
            if line.blocked_by is not None:
                self.server.poke(line.backend_pid)

    async def _deadlock(self, step: Step) -> None:
        victim = self.clients[step.client]
        cycle = tuple(client.name for client in self.deadlocked())
        line = self.line(victim)
        assert line is not None
        self.database.clock.advance(round(DEADLOCK_TIMEOUT_SECONDS * 1e6))
        self.server.poke(line.backend_pid)
        self._emit(Deadlocked, victim=victim.name, cycle=cycle)
        while line.blocked_by is not None:
            await self._settle()

    async def _deliver(self, step: Step) -> None:
        line = self.line(self.clients[step.client])
        assert line is not None
        self.gate.deliver(line)
        await self._settle()

    async def _restart(self, step: Step) -> None:
        self.gate.close_lines()
        self.side.close()
        self.server.crash()
        self.server.restart()
        self.side.reopen()
        self.database.reopen()
        for client in self.clients.values():
            client.connection = None
        await self._settle()
        self._emit(Restarted)
        for client in self.clients.values():
            await self._connect(client)
        self._observe(())

    async def _drain(self, step: Step) -> None:
        self._emit(Draining, over=bool(step.arguments.get("over")), poison=step.arguments.get("poison"))

    # -- settling --------------------------------------------------------------------------------------------------

    async def _settle(self, lost: Mapping[str, Sequence[Unit]] = MappingProxyType({})) -> None:
        """Wait until nothing moves, then record what the server and the clients have done.

        `lost` holds what ran on lines that are no longer there.
        """
        before = {name: line.blocked_by for name, line in self.gate.lines.items()}
        await self.gate.settle()
        committed = tuple(self._record_units(lost))
        if committed:
            self._observe(committed)
        for client in self.clients.values():
            self._record_block(client, before.get(client.name))
            if client.call is not None and client.call.over:
                self._record_return(client, client.call)

    def _record_units(self, lost: Mapping[str, Sequence[Unit]]) -> Iterator[int]:
        """Record what each client ran since the last time; the numbers of the calls that committed."""
        for client in self.clients.values():
            line = self.line(client)
            units = [*lost.get(client.name, ()), *(line.take_ran() if line is not None else ())]
            for unit in units:
                if client.call is not None and unit.kind not in {StatementKind.BEGIN, StatementKind.SESSION}:
                    yield from self._record_unit(client, client.call, unit)

    def _record_unit(self, client: Client, call: Call, unit: Unit) -> Iterator[int]:
        if not unit.is_commit:
            self._emit(
                Ran,
                client=client.name,
                call=call.number,
                sql=unit.sql,
                parameters=tuple(unit.parameters),
                tag=unit.tag,
                error=unit.error,
                open=unit.open,
            )
        if unit.committed:
            self._emit(Committed, client=client.name, call=call.number)
            yield call.number

    def _record_block(self, client: Client, before: Any) -> None:
        line = self.line(client)
        if line is None or client.call is None or not line.blocked_by or before == line.blocked_by:
            return
        owners = {other.backend_pid: name for name, other in self.gate.lines.items()}
        by = tuple(sorted(owners[pid] for pid in line.blocked_by if pid in owners))
        self._emit(Blocked, client=client.name, call=client.call.number, by=by)

    def _record_return(self, client: Client, call: Call) -> None:
        client.call = None
        if call.outcome is None:
            self._emit(Returned, client=client.name, call=call.number, status=Status.UNKNOWN)
            return
        outcome = call.outcome
        accepted = outcome.status is Status.OK
        identifier = outcome.row.get("job") if accepted and call.operation in {"claim", "enqueue"} else None
        job = self.observer.names.name(identifier) if identifier is not None else None
        self._emit(
            Returned, client=client.name, call=call.number, status=outcome.status, job=job, error=outcome.error
        )
        if call.operation == "claim" and job is not None:
            known = self.observer.jobs.get(job)
            client.belief = Belief(
                job=job, row=outcome.row, call=call.number, environment=known.environment if known else None
            )
        else:
            client.belief = believe(client.belief, call, outcome.status)

    def _observe(self, by: tuple[int, ...]) -> None:
        observed = self.observer.look(step=self.step, by=by)
        if observed is not None:
            self.history.append(observed)

    def _emit(self, kind: type[Event], **fields: Any) -> None:
        self.history.append(kind(step=self.step, **fields))

    # -- clients ---------------------------------------------------------------------------------------------------

    async def _join(self, name: str, worker: str, role: Role) -> None:
        client = self.clients[name] = Client(name=name, worker=worker, role=role)
        await self._connect(client)

    async def _connect(self, client: Client) -> None:
        host = self.gate.listen(client.name)
        self.nursery.start_soon(self._open_connection, client, host)
        await self.gate.settle()
        while client.connection is None:
            await self.gate.settle()
        self._emit(Connected, client=client.name, worker=client.worker)

    async def _open_connection(self, client: Client, host: str) -> None:
        client.connection = await TrioConnection.connect(self.database.conninfo(host=host))

    async def reset(self, *, clean: bool = False) -> None:
        """Back to the state after set-up: rows, sequences, clock, clients; connections are kept where they are idle."""
        await self._leave()
        self.database.reset(clean=clean)
        self.database.clock.reset()
        self.observer.reset()
        self.step = self.calls = self.enqueued = 0
        await self._fill()
        self.history = []
        for client in self.clients.values():
            self._emit(Connected, client=client.name, worker=client.worker)
        self._emit(Advanced, seconds=0.0, now=self.now)
        self._observe(())

    async def _leave(self) -> None:
        """End what an earlier story left behind: calls, twins, beliefs, session locks."""
        for client in list(self.clients.values()):
            client.belief = None
            line = self.line(client)
            if line is not None and (client.call is not None or client.name not in self.cast()):
                await self.gate.cut(line, answer_lost=False)
                await self.gate.settle()
                client.connection, client.call = None, None
            if client.name not in self.cast():
                del self.clients[client.name]
        await self._unlock_sessions()

    async def _unlock_sessions(self) -> None:
        """Connections are kept between stories; the advisory locks of their sessions are not."""
        holders = {row["pid"] for row in self.side.query(_LOCK_HOLDERS)}
        lines = [line for line in self.gate.lines.values() if line.backend_pid in holders]
        for client in self.clients.values():
            if client.connection is not None and self.line(client) in lines:
                self.nursery.start_soon(client.connection.execute, "SELECT pg_catalog.pg_advisory_unlock_all()")
        await self.gate.settle()
        for line in lines:
            self.gate.release(line)
        await self.gate.settle()
        for line in lines:
            line.take_ran()

    def cast(self) -> dict[str, Role]:
        """The clients that every story starts with."""
        return {"P": Role.PRODUCER, "M": Role.MAINTENANCE} | dict.fromkeys(WORKER_NAMES[: self.workers], Role.WORKER)

    async def _fill(self) -> None:
        for name, role in self.cast().items():
            client = self.clients.get(name)
            if client is None:
                await self._join(name, name, role)
            elif client.connection is None:
                await self._connect(client)


def _reaches(start: str, goal: str, waits: Mapping[str, set[str | None]]) -> bool:
    seen: set[str | None] = set()
    todo = list(waits.get(start, ()))
    while todo:
        name = todo.pop()
        if name == goal:
            return True
        if name not in seen and name is not None:
            seen.add(name)
            todo.extend(waits.get(name, ()))
    return False


def _refuse_begin(world: World, step: Step) -> str | None:
    client = world.clients[step.client]
    if step.operation not in world.target.operations:
        return f"{world.target.name} has no operation {step.operation}"
    if not client.idle:
        return f"{client.name} is busy or not connected"
    job = step.arguments.get("job")
    if job is not None and world.observer.names.identifier(job) is None:
        return f"there is no job {job}"
    return client.lacks(step.operation)


def _refuse_go(world: World, step: Step) -> str | None:
    return None if world.clients[step.client] in world.waiting() else f"{step.client} does not wait at the gate"


def _refuse_sever(world: World, step: Step) -> str | None:
    client = world.clients[step.client]
    if client.connection is None:
        return f"{client.name} is not connected"
    if client.call is None:
        return None if step.fate is Fate.BEFORE else f"{client.name} has no answer to lose"
    return _refuse_go(world, step)


def _refuse_twin(world: World, step: Step) -> str | None:
    original = world.clients[step.client]
    twins = sum(client.worker == original.worker for client in world.clients.values())
    return None if original.role is Role.WORKER and twins == 1 else f"{step.client} cannot have a twin now"


def _refuse_connect(world: World, step: Step) -> str | None:
    return f"{step.client} is connected" if world.clients[step.client].connection is not None else None


def _refuse_deadlock(world: World, step: Step) -> str | None:
    return None if world.clients[step.client] in world.deadlocked() else f"{step.client} is in no cycle of waits"


def _refuse_deliver(world: World, step: Step) -> str | None:
    line = world.line(world.clients[step.client])
    return None if line is not None and line.notifications else f"no notification waits for {step.client}"


def _refuse_advance(world: World, step: Step) -> str | None:
    return None if step.seconds > 0 and math.isfinite(step.seconds) else "time moves forward, by a positive number"


def _refuse_restart(world: World, step: Step) -> str | None:
    return None if world.server.can_crash else "this server is not ours to crash"


_REFUSALS = {
    Action.BEGIN: _refuse_begin,
    Action.GO: _refuse_go,
    Action.CUT: _refuse_sever,
    Action.CRASH: _refuse_sever,
    Action.TWIN: _refuse_twin,
    Action.CONNECT: _refuse_connect,
    Action.ADVANCE: _refuse_advance,
    Action.DEADLOCK: _refuse_deadlock,
    Action.DELIVER: _refuse_deliver,
    Action.RESTART: _refuse_restart,
    Action.DRAIN: lambda world, step: None,
}
_PERFORM = {
    Action.BEGIN: World._begin,
    Action.GO: World._go,
    Action.CUT: World._cut,
    Action.CRASH: World._crash,
    Action.TWIN: World._twin,
    Action.CONNECT: World._reconnect,
    Action.ADVANCE: World._advance,
    Action.DEADLOCK: World._deadlock,
    Action.DELIVER: World._deliver,
    Action.RESTART: World._restart,
    Action.DRAIN: World._drain,
}


@contextlib.asynccontextmanager
async def open_world(target: Target, server: Server, *, workers: int = 3) -> AsyncIterator[World]:
    """A world on `server`, with the target set up in a database of its own and `workers` workers connected.

    Raises TargetError if the target's SQL does not fit its database. Must run under a Trio clock of its own (the
    caller's `MockClock`), because waiting here is in real time.
    """
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(Database(server, server.database_name))
        for script in target.setup:
            database.run_setup(script.sql, script.label)
        side = stack.enter_context(SideConnection(database.conninfo()))
        described = describe(target, side)
        gate = Gate(server.address, directory=server.socket_dir, is_blocked=partial(blocked, side))
        try:
            async with gate, trio.open_nursery() as nursery:
                world = World(
                    server=server,
                    database=database,
                    target=described,
                    gate=gate,
                    side=side,
                    observer=Observer(described, side),
                    nursery=nursery,
                    workers=workers,
                )
                await world.reset(clean=True)
                yield world
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _cause(group) from group


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first, out of what Trio gathered on the way out."""
    first = group.exceptions[0]
    return _cause(first) if isinstance(first, BaseExceptionGroup) else first


_LOCK_HOLDERS = "SELECT DISTINCT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory'"
_BLOCKED = """
SELECT a.pid, pg_catalog.pg_blocking_pids(a.pid) AS by, a.wait_event_type = 'Timeout' AS asleep
FROM pg_catalog.pg_stat_activity a WHERE a.pid = ANY($1) AND a.state = 'active'
"""


def blocked(side: SideConnection, pids: list[int]) -> dict[int, list[int]]:
    """Who of `pids` waits for whom, as the server says; an empty list is one that sleeps on the clock."""
    rows = side.query(_BLOCKED, (pids,))
    return {row["pid"]: row["by"] for row in rows if row["by"] or row["asleep"]}
