"""Wait: time passes until the next moment for which a program has set a timer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from pgqmodel.history import Advanced
from pgqmodel.steps.kind import Step

if TYPE_CHECKING:
    from pgqmodel.world import World

__all__ = ["Wait"]


@frozen(kw_only=True)
class Wait(Step):
    """Time passes until some program has something to do: its next poll, heartbeat or retry."""

    action: ClassVar[str] = "wait"
    is_about_client: ClassVar[bool] = False

    def refuse(self, world: World) -> str | None:
        """Some program must have set a timer."""
        return None if world.has_timer() else "no program waits for a moment"

    async def perform(self, world: World) -> None:
        """Move the clock, and wake who waits for that moment."""
        seconds = await world.wait_for_timers()
        world.emit(Advanced, seconds=seconds, now=world.now)
        world.observe(())
        await world.settle()

    @classmethod
    def options(cls, world: World) -> Iterator[Step]:
        """One step, in worlds of programs."""
        return iter([cls()] if world.actors else [])
