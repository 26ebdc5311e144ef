"""Restart: the server is killed and started again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from pgqmodel.history import Restarted
from pgqmodel.steps.kind import Step

if TYPE_CHECKING:
    from pgqmodel.world import World

__all__ = ["Restart"]

_FLUSH = "SELECT pg_catalog.pg_logical_emit_message(true, 'pgqmodel', '')"
"""A commit of this statement flushes the log up to here.

Otherwise a crash keeps a random amount of uncommitted log, and the next sequence value shows it.
"""


@frozen(kw_only=True)
class Restart(Step):
    """The server is killed and started again; every session ends, and every client connects anew."""

    action: ClassVar[str] = "restart"
    fault: ClassVar[str] = "restart"
    severity: ClassVar[int] = 4
    is_about_client: ClassVar[bool] = False
    words: ClassVar[str] = "the server is killed and recovers; every session has ended"

    def refuse(self, world: World) -> str | None:
        """The server must be one that we started."""
        return None if world.server.can_crash else "this server is not ours to crash"

    async def perform(self, world: World) -> None:
        """Kill the server, start it, and open all connections to it again."""
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
            world.lose_session(client)
            await world.connect(client)
        world.observe(())
