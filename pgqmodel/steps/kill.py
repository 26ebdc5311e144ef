"""Kill and end: a program dies at once, or is asked to end and may put its things in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from pgqmodel.steps.kind import Step
from pgqmodel.steps.of_program import GoingOn, ProgramStep, go_on

if TYPE_CHECKING:
    from pgqmodel.world import World
    from pgqmodel.world.actors import Actor

__all__ = ["End", "Kill"]


@frozen(kw_only=True)
class Kill(ProgramStep):
    """A program is killed (SIGKILL): its connections end, its open transactions are rolled back."""

    action: ClassVar[str] = "kill"
    fault: ClassVar[str] = "crash"
    severity: ClassVar[int] = 3
    words: ClassVar[str] = "is **killed**"

    async def perform(self, world: World) -> None:
        """Kill the process; the gate sees its connections end."""
        assert world.troupe is not None, "there are programs"
        world.troupe.kill(world.actors[self.client])
        await world.settle()
        world.observe(())


@frozen(kw_only=True)
class End(GoingOn):
    """A program is asked to end (SIGTERM), and goes on up to its `stop`-th unit."""

    action: ClassVar[str] = "end"
    fault: ClassVar[str] = "crash"
    severity: ClassVar[int] = 2
    words: ClassVar[str] = "is **asked to end**"
    is_told: ClassVar[bool] = True

    def refuse_actor(self, world: World, actor: Actor) -> str | None:
        """It must not be stopped: it would not hear it."""
        return f"{self.client} is stopped" if actor.stopped else None

    async def perform(self, world: World) -> None:
        """Send the signal, and let its units through."""
        assert world.troupe is not None, "there are programs"
        actor = world.actors[self.client]
        world.troupe.signal(actor, signal.SIGTERM)
        await go_on(world, actor, self.stop)

    def simpler(self) -> Iterator[Step]:
        """To an earlier unit, or killed."""
        yield from super().simpler()
        yield Kill(client=self.client)
