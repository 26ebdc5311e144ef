"""A simulation as a value: its name, its sizes, its load, and the limits for its figures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from pgqmodel.errors import UsageError
from pgqmodel.operations import CLAIM, COMPLETE, ENQUEUE
from pgqmodel.simulation.thresholds import Threshold
from pgqmodel.target import Target

if TYPE_CHECKING:
    from pgqmodel.simulation.stage import Stage

__all__ = ["Simulation"]


@frozen(kw_only=True)
class Simulation:
    """One row of the test plan, declared in the catalogue `sims`.

    `load` runs the load on a stage and returns when no more load comes. `sizes` are the plan's sizes, by name; `least`
    are the smallest sizes of a scaled run, because a smaller one shows nothing. `settings` replace the target's, such
    as a lease of 2 s instead of 30 s. `frozen` uses a server whose clock stands still until the load moves it.
    `reclaim_seconds` is the interval of reclaims; with None the load reclaims itself.
    """

    name: str
    says: str
    load: Callable[[Stage], Awaitable[None]]
    needs: frozenset[str] = frozenset({ENQUEUE.name, CLAIM.name, COMPLETE.name})
    sizes: Mapping[str, int] = field(factory=dict)
    least: Mapping[str, int] = field(factory=dict)
    settings: Mapping[str, Any] = field(factory=dict)
    thresholds: tuple[Threshold, ...] = ()
    frozen: bool = False
    reclaim_seconds: float | None = 1.0

    def sized(self, asked: Mapping[str, int], scale: float) -> dict[str, int]:
        """The sizes: as asked for, else the plan's times `scale`, at least `least`; UsageError for an unknown size."""
        unknown = sorted(asked.keys() - self.sizes.keys())
        if unknown:
            message = (
                f"the simulation {self.name} has no size {', '.join(unknown)}; expected some of "
                f"{', '.join(self.sizes)}. Leave it out"
            )
            raise UsageError(message)
        scaled = {name: max(round(size * scale), self.least.get(name, 1)) for name, size in self.sizes.items()}
        return {**scaled, **asked}

    def suits(self, target: Target) -> None:
        """UsageError if a target lacks an operation that this simulation needs."""
        missing = sorted(self.needs - target.operations.keys())
        if missing:
            message = (
                f"the target {target.name} has no operation {', '.join(missing)}; the simulation {self.name} is about "
                "it. Describe it in the target, or run another simulation"
            )
            raise UsageError(message)
