"""One run of a story, judged as it goes: a strategy chooses, the world performs, the judge examines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import define, field, frozen

from pgqmodel.explore.strategy import Strategy, View
from pgqmodel.history import Event
from pgqmodel.judge import Judge
from pgqmodel.naming import Naming
from pgqmodel.promises import Broken
from pgqmodel.report.sentences import told
from pgqmodel.steps import Drain, Step
from pgqmodel.world import World, perform

__all__ = ["AnomalyFound", "Finding", "Run"]


@frozen(kw_only=True)
class Finding:
    """A broken promise, and the steps and the history that broke it."""

    broken: Broken
    schedule: tuple[Step, ...]
    history: tuple[Event, ...]
    witnessed: Mapping[str, int]
    identifiers: Mapping[str, str] = field(factory=dict)
    """The queue's own names for the jobs of the history."""

    @property
    def told(self) -> tuple[Event, ...]:
        """The history by names: the same each time, whatever values the server drew."""
        return Naming(self.identifiers).history(self.history)


class AnomalyFound(AssertionError):  # noqa: N818 - a find is what this is about, no error
    """A declared promise is broken; `finding` has the evidence."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.broken.anomaly}: " + " ".join(told(finding.broken.facts)))
        self.finding = finding


@define(kw_only=True)
class Run:
    """A story in progress in a world that was just reset."""

    world: World
    judge: Judge = field(init=False)
    taken: list[Step] = field(factory=list)
    examined: int = 0
    draining: int | None = None
    """How many steps had been taken when the drain began."""
    before_step: Callable[[], None] = lambda: None
    """Called before every step, those of a drain too; it raises to end the run there, as when time is up."""

    def __attrs_post_init__(self) -> None:
        target = self.world.target
        self.judge = Judge(
            promises=target.promises,
            settings=target.settings,
            moments=target.moments,
            kinds=target.kinds,
            shows=target.observe.shows,
            leases=target.leases,
        )

    @property
    def witnessed(self) -> Mapping[str, int]:
        """How often each declared promise was put to the test in this run."""
        return self.judge.exercised

    @property
    def view(self) -> View:
        """What a strategy sees of this story, now and later."""
        return View(world=self.world, taken=self.taken, judge=self.judge)

    async def take(self, step: Step) -> Sequence[Event]:
        """Take one step: what happened; AnomalyFound if that breaks a promise."""
        self.before_step()
        if isinstance(step, Drain) and not step.over:
            self.draining = len(self.taken)
        self.taken.append(step)
        history = self.world.history
        before = len(history)
        await perform(self.world, step)
        while self.examined < len(history):
            broken = self.judge.examine(history[self.examined])
            self.examined += 1
            if broken is not None:
                raise AnomalyFound(self._finding(broken))
        return history[before:]

    async def follow(self, strategy: Strategy) -> None:
        """Take the steps that a strategy chooses, until it chooses none; AnomalyFound like `take`."""
        while (step := strategy.next(self.view)) is not None:
            strategy.told(step, await self.take(step))

    def _finding(self, broken: Broken) -> Finding:
        return Finding(
            broken=broken,
            schedule=self._schedule(),
            history=tuple(self.world.history),
            witnessed=dict(self.witnessed),
            identifiers=self.world.observer.names.identifiers,
        )

    def _schedule(self) -> tuple[Step, ...]:
        """The steps taken; a drain that came to its end is told as one step, one that failed midway as its steps."""
        if self.draining is None:
            return tuple(self.taken)
        last = self.taken[-1]
        if isinstance(last, Drain):
            return (*self.taken[: self.draining], self.taken[self.draining])
        return tuple(step for step in self.taken if not isinstance(step, Drain))
