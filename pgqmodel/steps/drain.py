"""Drain: the marks where the end of a story begins and is over. `explore.fair_ending` makes the steps in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self

from attrs import evolve, frozen

from pgqmodel.history import Draining
from pgqmodel.steps.kind import Step, Weight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgqmodel.world import World

__all__ = ["Drain"]


@frozen(kw_only=True)
class Drain(Step):
    """Faults stop, everything is connected again, all clients are scheduled fairly, time moves on.

    `poison` is the job that fails every time during the drain; `over` marks the end.
    """

    poison: str | None = None
    over: bool = False

    action: ClassVar[str] = "drain"
    severity: ClassVar[int] = 0
    is_about_client: ClassVar[bool] = False
    words: ClassVar[str] = "no more faults: everybody gets their turn, and time goes on"

    async def perform(self, world: World) -> None:
        """Record the mark."""
        world.emit(Draining, over=self.over, poison=self.poison)

    @property
    def is_choice(self) -> bool:
        """A drain does not count, because every story may end in one."""
        return False

    @property
    def weight(self) -> Weight:
        """The simplest drain has no poison job."""
        return Weight(severity=self.severity, options=self.poison is not None)

    def simpler(self) -> Iterator[Step]:
        """The drain without a poison job."""
        if self.poison is not None:
            yield evolve(self, poison=None)

    def to_json(self) -> dict[str, Any]:
        """The step as JSON; poison and mark are among the arguments."""
        marks = {"over": self.over, "poison": self.poison}
        arguments = {name: value for name, value in marks.items() if value}
        return {"action": self.action} | ({"arguments": arguments} if arguments else {})

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read the step that `to_json` wrote."""
        rest = {name: value for name, value in record.items() if name != "arguments"}
        return super().from_json({**rest, **record.get("arguments", {})})
