"""How a client calls an operation: a Trio task runs its program, with the values of the operation's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pgqmodel.clock import moment, offset_seconds
from pgqmodel.history import Invoked
from pgqmodel.operations import ENQUEUE, LOG, Role
from pgqmodel.server import LOST
from pgqmodel.world.client import CallInFlight, Client

if TYPE_CHECKING:
    from pgqmodel.target import Target
    from pgqmodel.world.world import World

__all__ = ["clock_offset", "invoke"]


def invoke(world: World, client: Client, operation: str, arguments: Mapping[str, Any]) -> None:
    """Record the call, and start the client's program; it runs when the world settles."""
    world.calls += 1
    world.enqueued += operation == ENQUEUE.name
    belief = client.holding(arguments.get("job")) if world.target.kinds[operation].role is Role.WORKER else None
    job = arguments.get("job") or (belief.job if belief else None)
    held = tuple(each.job for each in client.held) if world.target.is_about_all(operation) else ()
    call = CallInFlight(
        number=world.calls, operation=operation, job=job, claim=belief.call if belief else None, jobs=held
    )
    client.call = call
    values = _values(world, client, call, arguments)
    told: dict[str, Any] = {"line": values["line"]} if operation == LOG.name else {}
    if held:
        told["batch"] = list(held)
    world.emit(
        Invoked,
        client=client.name,
        worker=client.worker,
        call=call.number,
        operation=call.operation,
        job=job,
        claim=call.claim,
        arguments=dict(arguments) | told,
    )
    world.nursery.start_soon(_run_call, world, client, call, values)


def _values(world: World, client: Client, call: CallInFlight, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The values for an operation's parameters: its arguments, the client's time, its claim's columns, the settings."""
    values: dict[str, Any] = dict.fromkeys(world.target.kinds[call.operation].parameters)
    if "now" in world.target.operations[call.operation].parameters:
        values["now"] = moment(world.database.clock.stamp() + round(client.ahead * 1e6))
    values |= {"priority": 0, "payload": "{}", "error": "boom", "line": f"{client.name} says {call.number}"}
    values |= world.target.settings
    values |= arguments
    belief = client.holding(call.job)
    if belief is not None:
        values |= {"environment": belief.environment} | dict(belief.row)
    if call.job is not None:
        values["job"] = world.observer.names.identifier(call.job)
    if call.jobs:
        values["jobs"] = [world.observer.names.identifier(job) for job in call.jobs]
    return values | {"worker": client.worker}


def clock_offset(target: Target, client: Client, cast: Mapping[str, Role], seed: int) -> float:
    """By how many seconds a client's clock is ahead; 0 where no operation of its role asks it for the time."""
    bound = float(target.settings.get("clock_skew_seconds", 0))
    programs = target.operations.items() if bound else ()
    if not any("now" in each.parameters and target.kinds[name].role is client.role for name, each in programs):
        return 0.0
    peers = [name for name, role in cast.items() if role is client.role]
    place = peers.index(client.name) if client.name in peers else None
    return offset_seconds(client.name, bound=bound, seed=seed, role=client.role, place=place)


async def _run_call(world: World, client: Client, call: CallInFlight, values: Mapping[str, Any]) -> None:
    """The client's side of one call, run as a Trio task, like the call of a real worker."""
    assert client.connection is not None
    client.connection.seed = f"{world.chance}/{client.name}/{call.number}"
    try:
        call.outcome = await world.target.operations[call.operation].run(client.connection, values)
    except LOST:
        call.lost = True
