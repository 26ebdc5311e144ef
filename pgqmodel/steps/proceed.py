"""Proceed: a program goes on where its statements are held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from attrs import evolve, frozen

from pgqmodel.steps.kind import Step, Weight
from pgqmodel.steps.of_program import GoingOn, free_line, go_on, let_through

if TYPE_CHECKING:
    from pgqmodel.world import World
    from pgqmodel.world.actors import Actor, Line

__all__ = ["Proceed"]


@frozen(kw_only=True)
class Proceed(GoingOn):
    """A program goes on up to its `stop`-th next unit; 0: until it rests. `line` names the connection that goes first.

    0, the simplest, is the oldest connection on which a unit is held.
    """

    line: int = 0

    action: ClassVar[str] = "proceed"

    def refuse_actor(self, world: World, actor: Actor) -> str | None:
        """A unit must be held that may go on."""
        if self._first(world, actor) is None:
            return f"{self.client}.{self.line} does not wait" if self.line else f"{self.client} waits for nothing"
        return None

    async def perform(self, world: World) -> None:
        """Let the first unit through, and the next ones."""
        actor = world.actors[self.client]
        line = self._first(world, actor)
        assert line is not None, "the step was not refused"
        await let_through(world, line)
        await go_on(world, actor, self.stop)

    def _first(self, world: World, actor: Actor) -> Line | None:
        if not self.line:
            return free_line(world, actor)
        return free_line(world, actor, only=f"{self.client}.{self.line}")

    @property
    def weight(self) -> Weight:
        """The simplest one names no connection."""
        return Weight(severity=self.severity, stop=self.stop, detour=self.line > 0)

    def simpler(self) -> Iterator[Step]:
        """The same step without the connection; until the program rests; to an earlier unit."""
        if self.line:
            yield evolve(self, line=0)
        yield from super().simpler()
