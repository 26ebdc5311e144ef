"""A schedule that was written down, as a strategy: replays and the candidates of shrinking follow one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define

from pgqmodel.explore.fair_ending import drain
from pgqmodel.explore.strategy import Sequential, View
from pgqmodel.steps import Drain, Step

__all__ = ["Recorded"]


@define(kw_only=True)
class Recorded(Sequential):
    """The steps of `schedule` in their order; `lenient` leaves out those that cannot be taken.

    A drain stands in a schedule as one step, whose steps are chosen anew.
    """

    schedule: Sequence[Step]
    lenient: bool = False

    def steps(self, view: View) -> Iterator[Step]:
        """The steps that are left."""
        for step in self.schedule:
            if self.lenient and view.refusal(step) is not None:
                continue
            if isinstance(step, Drain):
                yield from drain(view.world, step.poison)
            else:
                yield step
