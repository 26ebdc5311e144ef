"""Deadlock: the server's deadlock detector fires for one of the clients in a cycle of waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from pgqmodel.history import Deadlocked
from pgqmodel.steps.kind import Step

if TYPE_CHECKING:
    from pgqmodel.world import World

__all__ = ["DEADLOCK_TIMEOUT_SECONDS", "Deadlock"]

DEADLOCK_TIMEOUT_SECONDS = 0.1


@frozen(kw_only=True)
class Deadlock(Step):
    """The deadlock detector of one client in a cycle fires; that client is the victim."""

    action: ClassVar[str] = "deadlock"
    severity: ClassVar[int] = 2
    words: ClassVar[str] = "deadlock of {cycle}; Postgres makes {victim} its victim"

    def refuse(self, world: World) -> str | None:
        """The client must be in a cycle, and its detector must not have fired yet."""
        client = world.clients[self.client]
        if client not in world.deadlocked():
            return f"{self.client} is in no cycle of waits"
        return None if client in world.victims() else f"{self.client}'s detector has fired before"

    async def perform(self, world: World) -> None:
        """Move the clock and let the victim's detector look at it first."""
        victim = world.clients[self.client]
        cycle = tuple(client.name for client in world.deadlocked())
        line = world.line(victim)
        assert line is not None
        world.move_clock(DEADLOCK_TIMEOUT_SECONDS, but=line)
        world.emit(Deadlocked, victim=victim.name, cycle=cycle)
        await world.gate.wait_unblocked(line)
        await world.settle()
