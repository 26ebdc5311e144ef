"""A recorded schedule as a strategy; replays use it, and the candidates of shrinking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define

from pgqmodel.explore.fair_ending import drain
from pgqmodel.explore.program_ending import drain_programs
from pgqmodel.explore.strategy import Sequential, View
from pgqmodel.steps import Drain, Step

__all__ = ["Recorded"]


@define(kw_only=True)
class Recorded(Sequential):
    """The steps of `schedule` in their order; `lenient` leaves out steps that cannot be taken.

    A drain is one step in a schedule. Its own steps are chosen anew.
    """

    schedule: Sequence[Step]
    lenient: bool = False

    def steps(self, view: View) -> Iterator[Step]:
        """The steps of the schedule, one by one."""
        for step in self.schedule:
            if self.lenient and view.refusal(step) is not None:
                continue
            if isinstance(step, Drain):
                yield from drain_programs(view.world) if view.world.actors else drain(view.world, step.poison)
            else:
                yield step
