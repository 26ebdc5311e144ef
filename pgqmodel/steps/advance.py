"""Advance: the clock moves, for server and clients alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from attrs import evolve, frozen

from pgqmodel.history import Advanced
from pgqmodel.steps.kind import Step, Weight

if TYPE_CHECKING:
    from pgqmodel.world import World

__all__ = ["Advance"]


@frozen(kw_only=True)
class Advance(Step):
    """The clock moves. As a fault it is a stall: time passes while a worker holds a job."""

    seconds: float = 0.0

    action: ClassVar[str] = "advance"
    fault: ClassVar[str] = "stall"
    is_about_client: ClassVar[bool] = False
    words: ClassVar[str] = "{seconds:g} s pass"

    def refuse(self, world: World) -> str | None:
        """There must be no deadlock that the server has not found, and time must move forward."""
        if world.deadlocked():
            return "the server would find the deadlock first"
        positive = self.seconds > 0 and math.isfinite(self.seconds)
        return None if positive else "time moves forward, by a positive number"

    async def perform(self, world: World) -> None:
        """Move the clock, and make all waiting backends look at it."""
        await world.let_time_pass(self.seconds)
        world.emit(Advanced, seconds=self.seconds, now=world.now)
        world.observe(())  # these changes come from the clock, not from the next commit
        await world.settle()

    @classmethod
    def options(cls, world: World) -> Iterator[Step]:  # noqa: ARG003 - a second can pass in any world
        """One step: a second passes."""
        yield cls(seconds=1.0)

    @property
    def weight(self) -> Weight:
        """Short waits of whole seconds are simplest."""
        return Weight(severity=self.severity, seconds=self.seconds)

    def simpler(self) -> Iterator[Step]:
        """Waits that are easier to read, or shorter."""
        for seconds in _shorter(self.seconds):
            yield evolve(self, seconds=seconds)


def _shorter(seconds: float) -> Iterator[float]:
    """Shorter times: whole seconds first, then halves, then by halving the distance."""
    yield 1.0
    whole = float(math.floor(seconds))
    yield from (wait for wait in (whole + 1, whole, whole + 0.5) if wait >= 1)
    step = 2 ** int(seconds).bit_length()
    while step := step // 2:
        if whole - step > 1:
            yield whole - step
