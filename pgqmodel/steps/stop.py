"""Stop and continue: a program stands still while time goes on, as on a machine that swaps or is suspended."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from pgqmodel.steps.of_program import ProgramStep

if TYPE_CHECKING:
    from pgqmodel.world import World
    from pgqmodel.world.actors import Actor

__all__ = ["Continue", "Stop"]


@frozen(kw_only=True)
class Stop(ProgramStep):
    """A program is stopped (SIGSTOP): it does nothing, and its timers do not fire."""

    action: ClassVar[str] = "stop"
    fault: ClassVar[str] = "stall"
    severity: ClassVar[int] = 2
    words: ClassVar[str] = "is **stopped**"
    is_told: ClassVar[bool] = True

    def refuse_actor(self, world: World, actor: Actor) -> str | None:
        """It must not be stopped."""
        return f"{self.client} is stopped already" if actor.stopped else None

    async def perform(self, world: World) -> None:
        """Stop the process."""
        await _signal(world, self.client, stopped=True)


@frozen(kw_only=True)
class Continue(ProgramStep):
    """A stopped program goes on (SIGCONT); timers that are due fire now."""

    action: ClassVar[str] = "continue"
    severity: ClassVar[int] = 0
    words: ClassVar[str] = "**continues**"
    is_told: ClassVar[bool] = True

    def refuse_actor(self, world: World, actor: Actor) -> str | None:
        """It must be stopped."""
        return None if actor.stopped else f"{self.client} is not stopped"

    async def perform(self, world: World) -> None:
        """Let the process go on, and wake what is due."""
        await _signal(world, self.client, stopped=False)
        await world.let_time_pass(0.0)
        await world.settle()


async def _signal(world: World, client: str, *, stopped: bool) -> None:
    assert world.troupe is not None, "there are programs"
    actor = world.actors[client]
    world.troupe.signal(actor, signal.SIGSTOP if stopped else signal.SIGCONT)
    actor.stopped = stopped
    await world.settle()
