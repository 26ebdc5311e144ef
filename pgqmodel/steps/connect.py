"""Connect: a client whose connection was cut connects again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from pgqmodel.steps.kind import Step

if TYPE_CHECKING:
    from pgqmodel.world import World

__all__ = ["Connect"]


@frozen(kw_only=True)
class Connect(Step):
    """A client whose connection was cut connects again."""

    action: ClassVar[str] = "connect"

    def refuse(self, world: World) -> str | None:
        """The client must have no connection; a program opens its own."""
        if self.client in world.actors:
            return f"{self.client} is a program"
        return f"{self.client} is connected" if world.clients[self.client].connection is not None else None

    async def perform(self, world: World) -> None:
        """Connect the client."""
        await world.connect(world.clients[self.client])
