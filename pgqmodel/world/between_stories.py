"""What a world does between two stories: it ends what the last one left behind, and brings its clients back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgqmodel.history import Invoked
from pgqmodel.operations import Role
from pgqmodel.world.client import Client

if TYPE_CHECKING:
    from pgqmodel.world.world import World

__all__ = ["fill", "leave"]

_LOCK_HOLDERS = "SELECT DISTINCT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory'"


async def leave(world: World) -> None:
    """End what an earlier story left behind: programs, calls, twins, beliefs and session locks."""
    if world.troupe is not None:
        world.troupe.close()
        await world.gate.settle()
        world.troupe.enter([name for name, role in world.cast.items() if role is Role.WORKER], world.chance)
    acted = {event.client for event in world.history if isinstance(event, Invoked)}
    for client in list(world.clients.values()):
        client.held, client.worker, client.starts = [], client.name, 0
        line = world.line(client)
        # A session with settings or prepared statements of an earlier story would change this one.
        marked = world.target.leaves_marks and client.name in acted
        over = client.call is not None or client.name not in world.cast or marked
        if line is not None and over:
            assert client.connection is not None, "it has a line"
            client.connection.abandoned = True
            await world.gate.cut(line, answer_lost=False)
            await world.gate.settle()
            client.connection, client.call = None, None
        if client.name not in world.cast:
            del world.clients[client.name]
    await _unlock_sessions(world)
    world.gate.left.clear()


async def _unlock_sessions(world: World) -> None:
    """Release the advisory locks of the sessions that are kept between stories."""
    holders = {row["pid"] for row in world.side.query(_LOCK_HOLDERS)}
    lines = [line for line in world.gate.lines.values() if line.backend_pid in holders]
    for client in world.clients.values():
        if client.connection is not None and world.line(client) in lines:
            world.nursery.start_soon(client.connection.run, "SELECT pg_catalog.pg_advisory_unlock_all()")
    await world.gate.settle()
    for line in lines:
        world.gate.release(line)
    await world.gate.settle()
    for line in lines:
        line.take_ran()


async def fill(world: World) -> None:
    """Bring back the clients with which every story starts; a program is not started yet."""
    for name, role in world.cast.items():
        client = world.clients.get(name)
        if client is None and name in world.actors:
            world.clients[name] = Client(name=name, worker=name, role=role, kinds=world.target.kinds)
        elif client is None:
            await world.join(name, name, role)
        elif name in world.actors:
            continue
        elif client.connection is None:
            await world.connect(client)
