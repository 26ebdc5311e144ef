"""What the steps of programs share: a program goes on unit by unit, on whichever of its connections one is held.

A unit is a statement that waits at the gate, a COMMIT, or a notification for a program that listens. The body of a job
is none: it ends by a step of its own (`finish`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from attrs import evolve, frozen

from pgqmodel.body import is_body
from pgqmodel.steps.go import GATES_MAX
from pgqmodel.steps.kind import Step, Weight
from pgqmodel.wire.session import LineState

if TYPE_CHECKING:
    from pgqmodel.world import World
    from pgqmodel.world.actors import Actor, Line

__all__ = ["GoingOn", "ProgramStep", "free_line", "go_on", "let_through"]


@frozen(kw_only=True)
class ProgramStep(Step):
    """A step of one program. Only worlds whose workers are programs have such steps."""

    needs_alive: ClassVar[bool] = True
    """Whether the program must have been started."""

    def refuse(self, world: World) -> str | None:
        """The client must be a program, and alive, if the step needs that."""
        actor = world.actors.get(self.client)
        if actor is None:
            return f"{self.client} is no program"
        if actor.alive != self.needs_alive:
            return f"{self.client} {'does not run' if self.needs_alive else 'runs already'}"
        return self.refuse_actor(world, actor)

    def refuse_actor(self, world: World, actor: Actor) -> str | None:
        """Why the program cannot take the step now, or None if it can."""
        return None

    @classmethod
    def options(cls, world: World) -> Iterator[Step]:
        """One step for each program."""
        return iter([cls(client=name) for name in world.actors])


@frozen(kw_only=True)
class GoingOn(ProgramStep):
    """A step after which its program goes on, up to the `stop`-th held unit; 0, the simplest, means until it rests."""

    stop: int = 0

    @property
    def weight(self) -> Weight:
        """The simplest one goes on until the program rests."""
        return Weight(severity=self.severity, stop=self.stop)

    def simpler(self) -> Iterator[Step]:
        """The same step until the program rests, or to an earlier unit."""
        if self.stop:
            yield evolve(self, stop=0)
            yield evolve(self, stop=self.stop - 1)


def free_line(world: World, actor: Actor, only: str = "") -> Line | None:
    """The first line of a program on which a unit is held that may go on; None if it rests. `only` names the line."""
    lines = world.gate.lines_of(actor.name)
    return next((line for line in lines if only in {"", line.name} and _has_unit(line)), None)


def _has_unit(line: Line) -> bool:
    if line.state is LineState.HELD:
        assert line.unit is not None, "a held line has a unit"
        return not is_body(line.unit.sql)
    return line.state is LineState.COMMIT_HELD or (line.state is LineState.IDLE and line.notifications > 0)


async def go_on(world: World, actor: Actor, stop: int) -> None:
    """Let a program go on until it rests, it is blocked, or its `stop`-th unit is held; it has just been moved."""
    await world.settle()
    for unit in range(1, GATES_MAX):
        line = free_line(world, actor) if actor.acts else None
        if line is None or unit == stop:
            return
        await let_through(world, line)


async def let_through(world: World, line: Line) -> None:
    """Let one unit of a program through."""
    world.tick()
    if line.state is LineState.COMMIT_HELD:
        world.gate.commit(line)
    elif line.state is LineState.HELD:
        world.gate.release(line)
    else:
        world.gate.deliver(line)
    await world.settle()
