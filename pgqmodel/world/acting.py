"""Taking steps: what each action does in the world, and when it cannot be done. One table."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import frozen

from pgqmodel.errors import ReplayMismatchError
from pgqmodel.history import Advanced, Deadlocked, Draining, Ended, Invoked, Restarted
from pgqmodel.operations import ENQUEUE, LOG, OPERATIONS, Role
from pgqmodel.server import LOST
from pgqmodel.steps import Action, Fate, Step
from pgqmodel.wire import LineState
from pgqmodel.world.client import Call, Client
from pgqmodel.world.world import DEADLOCK_TIMEOUT_SECONDS, WAITING, World

__all__ = ["perform", "refusal"]

GATES_MAX = 200


def refusal(world: World, step: Step) -> str | None:
    """Why a step cannot be taken now, or None if it can."""
    if step.client and step.client not in world.clients:
        return f"there is no client {step.client}"
    return _ACTS[step.action].refuse(world, step)


async def perform(world: World, step: Step) -> None:
    """Take one step and settle; ReplayMismatchError if it cannot be taken now."""
    reason = refusal(world, step)
    if reason is not None:
        message = (
            f"step {world.step + 1} cannot be taken: {reason}; the schedule says {step.to_json()}. "
            "The target, or what it answers, has changed since the schedule was recorded"
        )
        raise ReplayMismatchError(message)
    world.step += 1
    await _ACTS[step.action].perform(world, step)


async def _begin(world: World, step: Step) -> None:
    client = world.clients[step.client]
    world.calls += 1
    world.enqueued += step.operation == ENQUEUE.name
    belief = client.belief if OPERATIONS[step.operation].role is Role.WORKER else None
    job = step.arguments.get("job") or (belief.job if belief else None)
    call = Call(number=world.calls, operation=step.operation, job=job, claim=belief.call if belief else None)
    client.call = call
    values = _values(world, client, call, step.arguments)
    told = {"line": values["line"]} if step.operation == LOG.name else {}
    world.emit(
        Invoked,
        client=client.name,
        worker=client.worker,
        call=call.number,
        operation=call.operation,
        job=job,
        claim=call.claim,
        arguments=dict(step.arguments) | told,
    )
    world.nursery.start_soon(_run_call, world, client, call, values)
    await _run_up(world, client, step.stop)


def _values(world: World, client: Client, call: Call, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an operation: its own, its claim's columns, the settings."""
    values: dict[str, Any] = dict.fromkeys(OPERATIONS[call.operation].parameters)
    values |= {"priority": 0, "payload": "{}", "error": "boom", "line": f"{client.name} says {call.number}"}
    values |= world.target.settings
    values |= arguments
    if client.belief is not None:
        values |= {"environment": client.belief.environment} | dict(client.belief.row)
    if call.job is not None:
        values["job"] = world.observer.names.identifier(call.job)
    return values | {"worker": client.worker}


async def _run_call(world: World, client: Client, call: Call, values: Mapping[str, Any]) -> None:
    """The client's side of one call: a Trio task, as a worker's would be."""
    assert client.connection is not None
    try:
        call.outcome = await world.target.operations[call.operation].run(client.connection, values)
    except LOST:
        call.lost = True


async def _go(world: World, step: Step) -> None:
    client = world.clients[step.client]
    await _pass(world, client)
    await _run_up(world, client, step.stop)


async def _run_up(world: World, client: Client, stop: int) -> None:
    """Let a client go on until its call is over, it is blocked, or it stands at its `stop`-th gate."""
    await world.settle()
    for gate in range(1, GATES_MAX):
        if world.state_of(client) not in WAITING or gate == stop:
            return
        await _pass(world, client)


async def _pass(world: World, client: Client) -> None:
    """Let a waiting client through one gate."""
    line = world.line(client)
    assert line is not None
    if line.state is LineState.COMMIT_HELD:
        world.gate.commit(line)
    else:
        world.gate.release(line)
    await world.settle()


async def _cut(world: World, step: Step) -> None:
    await _sever(world, world.clients[step.client], step.fate, crashed=False)


async def _crash(world: World, step: Step) -> None:
    client = world.clients[step.client]
    await _sever(world, client, step.fate, crashed=True)
    client.belief = None
    await world.connect(client)


async def _sever(world: World, client: Client, fate: Fate, *, crashed: bool) -> None:
    line = world.line(client)
    assert line is not None
    ran = await world.gate.cut(line, answer_lost=fate is Fate.AFTER)
    client.connection = None
    await world.settle(lost={client.name: ran})
    world.emit(Ended, client=client.name, crashed=crashed)
    world.observe(())


async def _twin(world: World, step: Step) -> None:
    original = world.clients[step.client]
    number = sum(client.worker == original.worker for client in world.clients.values())
    await world.join(f"{original.worker}{number + 1}", original.worker, Role.WORKER)


async def _reconnect(world: World, step: Step) -> None:
    await world.connect(world.clients[step.client])


async def _advance(world: World, step: Step) -> None:
    _move_clock(world, step.seconds)
    world.emit(Advanced, seconds=step.seconds, now=world.now)
    await world.settle()


def _move_clock(world: World, seconds: float) -> None:
    world.gate.waiters.hold()
    world.database.clock.advance(round(seconds * 1e6))
    _poke_blocked(world)


def _poke_blocked(world: World) -> None:
    """Have everybody who waits look at the clock now: by themselves they would do so at some time."""
    for line in world.gate.lines.values():
        if line.blocked_by is not None:
            world.server.poke(line.backend_pid)


async def _deadlock(world: World, step: Step) -> None:
    victim = world.clients[step.client]
    cycle = tuple(client.name for client in world.deadlocked())
    line = world.line(victim)
    assert line is not None
    world.gate.waiters.hold(but=line)
    world.database.clock.advance(round(DEADLOCK_TIMEOUT_SECONDS * 1e6))
    _poke_blocked(world)
    world.emit(Deadlocked, victim=victim.name, cycle=cycle)
    await world.gate.wait_unblocked(line)
    await world.settle()


async def _deliver(world: World, step: Step) -> None:
    line = world.line(world.clients[step.client])
    assert line is not None
    world.gate.deliver(line)
    await world.settle()


_FLUSH = "SELECT pg_catalog.pg_logical_emit_message(true, 'pgqmodel', '')"
"""Its commit flushes the log up to here.

Without it chance decides how much of what had not committed survives a crash, and a sequence tells: it goes on behind
the last value that was logged.
"""


async def _restart(world: World, step: Step) -> None:
    world.side.query(_FLUSH)
    world.gate.close_lines()
    world.side.close()
    world.server.crash()
    world.server.restart()
    world.side.reopen()
    world.database.reopen()
    for client in world.clients.values():
        client.connection = None
    await world.settle()
    world.emit(Restarted)
    for client in world.clients.values():
        await world.connect(client)
    world.observe(())


async def _drain(world: World, step: Step) -> None:
    world.emit(Draining, over=bool(step.arguments.get("over")), poison=step.arguments.get("poison"))


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
    if world.clients[step.client] not in world.deadlocked():
        return f"{step.client} is in no cycle of waits"
    return None if world.clients[step.client] in world.victims() else f"{step.client}'s detector has fired before"


def _refuse_deliver(world: World, step: Step) -> str | None:
    line = world.line(world.clients[step.client])
    return None if line is not None and line.notifications else f"no notification waits for {step.client}"


def _refuse_advance(world: World, step: Step) -> str | None:
    if world.deadlocked():
        return "the server would find the deadlock first"
    return None if step.seconds > 0 and math.isfinite(step.seconds) else "time moves forward, by a positive number"


def _refuse_restart(world: World, step: Step) -> str | None:
    return None if world.server.can_crash else "this server is not ours to crash"


@frozen
class _Act:
    """What an action does, and when it cannot."""

    perform: Callable[[World, Step], Awaitable[None]]
    refuse: Callable[[World, Step], str | None]


_ACTS = {
    Action.BEGIN: _Act(_begin, _refuse_begin),
    Action.GO: _Act(_go, _refuse_go),
    Action.CUT: _Act(_cut, _refuse_sever),
    Action.CRASH: _Act(_crash, _refuse_sever),
    Action.TWIN: _Act(_twin, _refuse_twin),
    Action.CONNECT: _Act(_reconnect, _refuse_connect),
    Action.ADVANCE: _Act(_advance, _refuse_advance),
    Action.DEADLOCK: _Act(_deadlock, _refuse_deadlock),
    Action.DELIVER: _Act(_deliver, _refuse_deliver),
    Action.RESTART: _Act(_restart, _refuse_restart),
    Action.DRAIN: _Act(_drain, lambda world, step: None),
}
