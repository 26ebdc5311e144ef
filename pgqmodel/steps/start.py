"""Start: a worker program is started, and asks for its first job."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from pgqmodel.history import Connected
from pgqmodel.steps.of_program import GoingOn, go_on

if TYPE_CHECKING:
    from pgqmodel.world import World

__all__ = ["Start"]


@frozen(kw_only=True)
class Start(GoingOn):
    """A program is started, again if it is dead, and goes on up to its `stop`-th unit."""

    action: ClassVar[str] = "start"
    severity: ClassVar[int] = 0
    needs_alive: ClassVar[bool] = False
    words: ClassVar[str] = "**starts**"
    is_told: ClassVar[bool] = True

    async def perform(self, world: World) -> None:
        """Start the process, and let its units through."""
        actor = world.actors[self.client]
        assert world.troupe is not None, "there are programs"
        world.emit(Connected, client=actor.name, worker=actor.name)
        world.troupe.start(actor, world.server_us)
        await world.settle()
        world.troupe.check_start(actor)
        await go_on(world, actor, self.stop)
