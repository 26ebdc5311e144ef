"""The chronicle: turns what clients and server did since the last step into events of the history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pgqmodel.history import Blocked, Committed, Ran, Returned
from pgqmodel.operations import CLAIM, Status
from pgqmodel.wire import StatementKind, Unit
from pgqmodel.world.client import CallInFlight, Client
from pgqmodel.world.learning import found_jobs, learn, lose, take

if TYPE_CHECKING:
    from pgqmodel.world.world import World

__all__ = ["record_block", "record_losses", "record_return", "record_units"]


def record_units(world: World, lost: Mapping[str, Sequence[Unit]]) -> Iterator[int]:
    """Record the units that ran since the last step; yield the numbers of the calls that committed."""
    for client in world.clients.values():
        line = world.line(client)
        units = [*lost.get(client.name, ()), *(line.take_ran() if line is not None else ())]
        for unit in units:
            if client.call is not None and _is_told(unit):
                yield from _record_unit(world, client, client.call, unit)


def _is_told(unit: Unit) -> bool:
    """Whether a unit is an event: a SET is one if it began a transaction, because `now()` stands still from then on."""
    return unit.open if unit.kind is StatementKind.SESSION else unit.kind is not StatementKind.BEGIN


def _record_unit(world: World, client: Client, call: CallInFlight, unit: Unit) -> Iterator[int]:
    if not unit.is_commit:
        world.emit(
            Ran,
            client=client.name,
            call=call.number,
            sql=unit.sql,
            parameters=tuple(unit.parameters),
            tag=unit.tag,
            error=unit.error,
            open=unit.open,
            snapshot=unit.is_snapshot,
        )
    if unit.committed:
        world.emit(Committed, client=client.name, call=call.number)
    if unit.committed or world.observer.reads_locks:
        yield call.number


def record_block(world: World, client: Client, before: Sequence[int] | None) -> None:
    """Record that a client waits for locks, unless it waited for the same ones before."""
    line = world.line(client)
    if line is None or client.call is None or not line.blocked_by or before == line.blocked_by:
        return
    owners = {other.backend_pid: name.partition(".")[0] for name, other in world.gate.lines.items()}
    by = tuple(sorted({owners[pid] for pid in line.blocked_by if pid in owners}))
    world.emit(Blocked, client=client.name, call=client.call.number, by=by)


def record_return(world: World, client: Client, call: CallInFlight) -> None:
    """Record that a call is over; its client learns from the answer, or from the loss of it."""
    client.call = None
    if call.outcome is None:
        world.emit(Returned, client=client.name, call=call.number, status=Status.UNKNOWN)
        lose(client, call)
        return
    found = found_jobs(call, world.observer, world.target.kinds[call.operation])
    world.emit(
        Returned,
        client=client.name,
        call=call.number,
        status=call.outcome.status,
        job=found[0] if found else None,
        also=tuple(found[1:]),
        error=call.outcome.error,
    )
    if call.operation == CLAIM.name and found:
        client.held = take(call, found, world.observer) if world.target.settles else []
    else:
        learn(client, call, world.target)


def record_losses(world: World) -> None:
    """Record connections that the server ended by itself; raise ServerGoneError if the server itself is gone."""
    for client in world.clients.values():
        if client.connection is not None and world.line(client) is None:
            world.side.query("SELECT 1")
            client.connection = None
            world.end_session(client)
