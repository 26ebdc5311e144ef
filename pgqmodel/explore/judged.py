"""One run of a story, judged as it goes: a strategy chooses, the world performs, the judge examines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import define, field, frozen

from pgqmodel.explore.simplifying import choices
from pgqmodel.explore.strategy import Strategy, View
from pgqmodel.history import Event
from pgqmodel.judge import Judge
from pgqmodel.naming import Naming
from pgqmodel.promises import Broken
from pgqmodel.report.sentences import told
from pgqmodel.steps import Drain, Step
from pgqmodel.world import World, perform

__all__ = ["AnomalyFound", "Finding", "Run", "WouldBreak"]


@frozen(kw_only=True)
class WouldBreak:
    """A promise that is not declared, and the story that broke it: so many steps beyond the enqueues."""

    promise: str
    anomaly: str
    operations: tuple[str, ...]
    steps: int


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
    """The number of steps before the drain began; None if it has not begun."""
    quiet: Sequence[str] = ()
    """The promises that are judged although they are not declared."""
    would_break: dict[str, WouldBreak] = field(factory=dict)
    """Those of them that this story has broken: each at its first time, as what follows may be a consequence."""
    before_step: Callable[[], None] = lambda: None
    """Called before every step, also in a drain. It may raise to end the run, such as when time is over."""
    avoided: frozenset[str] = frozenset()
    """The operations that its strategy should leave out."""

    def __attrs_post_init__(self) -> None:
        target = self.world.target
        self.judge = Judge(
            promises=target.promises,
            settings=target.said,
            moments=target.moments,
            kinds=target.kinds,
            shows=target.observe.shows,
            leases=target.leases,
            quiet=self.quiet,
        )

    @property
    def witnessed(self) -> Mapping[str, int]:
        """For each declared promise, the number of times it was put to the test in this run."""
        return self.judge.exercised

    @property
    def view(self) -> View:
        """The view of this story for a strategy; it stays current."""
        return View(world=self.world, taken=self.taken, judge=self.judge, avoided=self.avoided)

    async def take(self, step: Step) -> Sequence[Event]:
        """Take one step and return its events; raise AnomalyFound if they break a promise."""
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
                self._overhear()
                raise AnomalyFound(self._finding(broken))
        self._overhear()
        return history[before:]

    async def follow(self, strategy: Strategy) -> None:
        """Take the steps that a strategy chooses, until it chooses none; raise AnomalyFound like `take`."""
        while (step := strategy.next(self.view)) is not None:
            strategy.told(step, await self.take(step))

    def _overhear(self) -> None:
        """Note which undeclared promises are broken by now."""
        for name, broken in self.judge.undeclared.items():
            if broken is not None and name not in self.would_break:
                self.would_break[name] = WouldBreak(
                    promise=name,
                    anomaly=broken.anomaly,
                    operations=broken.operations,
                    steps=choices(self._schedule()),
                )

    def _finding(self, broken: Broken) -> Finding:
        return Finding(
            broken=broken,
            schedule=self._schedule(),
            history=tuple(self.world.history),
            witnessed=dict(self.witnessed),
            identifiers=self.world.observer.names.identifiers,
        )

    def _schedule(self) -> tuple[Step, ...]:
        """The steps taken. A finished drain is one step; a drain that failed midway is written out step by step."""
        if self.draining is None:
            return tuple(self.taken)
        last = self.taken[-1]
        if isinstance(last, Drain):
            return (*self.taken[: self.draining], self.taken[self.draining])
        return tuple(step for step in self.taken if not isinstance(step, Drain))
