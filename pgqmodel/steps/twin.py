"""Twin: a second client starts under the name of a worker that still runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from pgqmodel.operations import Role
from pgqmodel.steps.kind import Step

if TYPE_CHECKING:
    from pgqmodel.world import World

__all__ = ["Twin"]


@frozen(kw_only=True)
class Twin(Step):
    """A second client starts under the name of a running worker, as if an orchestrator took the silent one for dead."""

    action: ClassVar[str] = "twin"
    fault: ClassVar[str] = "twin"
    severity: ClassVar[int] = 2

    def refuse(self, world: World) -> str | None:
        """The client must be a worker without a twin, and the target's workers must keep their names."""
        if not world.target.habits.keeps_name:
            return "workers of this queue bear a new name with each start"
        original = world.clients[self.client]
        namesakes = sum(client.worker == original.worker for client in world.clients.values())
        single = original.role is Role.WORKER and namesakes == 1
        return None if single else f"{self.client} cannot have a twin now"

    async def perform(self, world: World) -> None:
        """Add the second client: A2 beside A, with the same name in the queue."""
        original = world.clients[self.client]
        namesakes = sum(client.worker == original.worker for client in world.clients.values())
        await world.join(f"{original.worker}{namesakes + 1}", original.worker, Role.WORKER)
