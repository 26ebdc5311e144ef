"""Cut a line: one of the connections of a program breaks, before or after what it holds has run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import evolve, field, frozen

from pgqmodel.history import Ended
from pgqmodel.steps.kind import Fate, Step, Weight
from pgqmodel.steps.of_program import ProgramStep
from pgqmodel.wire.session import LineState

if TYPE_CHECKING:
    from pgqmodel.world import World
    from pgqmodel.world.actors import Actor, Line

__all__ = ["CutLine"]

_SETTLED = frozenset({LineState.IDLE, LineState.HELD, LineState.COMMIT_HELD})


@frozen(kw_only=True)
class CutLine(ProgramStep):
    """A connection of a program breaks. With the fate `after` the unit that it holds runs first, and commits."""

    line: int = 1
    fate: Fate = field(default=Fate.BEFORE, converter=Fate)

    action: ClassVar[str] = "cut-line"
    fault: ClassVar[str] = "cut"
    severity: ClassVar[int] = 2
    words: ClassVar[str] = "connection {line} **cut**"

    def refuse_actor(self, world: World, actor: Actor) -> str | None:
        """The connection must be there, and none of its statements may be running."""
        line = self._line(world)
        if line is None or line.state not in _SETTLED:
            return f"{self.client}.{self.line} is not there, or runs a statement"
        if self.fate is Fate.AFTER and line.state is LineState.IDLE:
            return f"{self.client}.{self.line} has no answer to lose"
        return None

    def _line(self, world: World) -> Line | None:
        return world.gate.lines.get(f"{self.client}.{self.line}")

    async def perform(self, world: World) -> None:
        """Sever the connection, and let the program notice it and go on."""
        line = self._line(world)
        assert line is not None, "the step was not refused"
        ran = await world.gate.cut(line, answer_lost=self.fate is Fate.AFTER)
        world.emit(Ended, client=self.client, line=line.name)
        await world.settle(lost={line.name: ran})
        world.observe(())

    @property
    def weight(self) -> Weight:
        """A lost answer is worse than a lost request."""
        return Weight(severity=self.severity + (self.fate is Fate.AFTER), detour=self.line > 1)

    def simpler(self) -> Iterator[Step]:
        """The request is lost instead."""
        if self.fate is Fate.AFTER:
            yield evolve(self, fate=Fate.BEFORE)

    def to_json(self) -> dict[str, Any]:
        """The step as JSON; its line and fate are always there."""
        return {"action": self.action, "client": self.client, "line": self.line, "fate": self.fate.value}

    @classmethod
    def options(cls, world: World) -> Iterator[Step]:
        """Each connection of each program."""
        for name in world.actors:
            for line in world.gate.lines_of(name):
                yield cls(client=name, line=int(line.name.rpartition(".")[2]))
