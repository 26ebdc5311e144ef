"""A strategy chooses the next step of a story. To add one, write a class with these two methods in one file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol

from attrs import define, field, frozen

from pgqmodel.history import Event
from pgqmodel.judge import Judge
from pgqmodel.steps import Step
from pgqmodel.world import World, refusal

__all__ = ["Sequential", "Strategy", "View"]


@frozen(kw_only=True)
class View:
    """The state that a strategy reads before it chooses. It must not change it: it only proposes steps."""

    world: World
    """The clients, the history, and the queue as it was last observed."""
    taken: Sequence[Step]
    """The steps of this story so far."""
    judge: Judge
    avoided: frozenset[str] = frozenset()
    """The operations to leave out of this story, because the bugs that they show are known."""

    def enabled(self) -> list[Step]:
        """The steps that can be taken now, for each kind in the simplest form."""
        return self.world.enabled()

    def refusal(self, step: Step) -> str | None:
        """Why a step cannot be taken now, or None if it can."""
        return refusal(self.world, step)


class Strategy(Protocol):
    """Chooses the steps of one story. `Run.follow` asks for each step, takes it, and tells the events."""

    def next(self, view: View) -> Step | None:
        """The step to take now; None ends the story."""

    def told(self, step: Step, events: Sequence[Event]) -> None:
        """Called with the events of the chosen step, unless that step broke a promise."""


@define(kw_only=True)
class Sequential(ABC):
    """A strategy written as one generator. It reads the events from the view."""

    _chosen: Iterator[Step] | None = field(init=False, default=None)

    @abstractmethod
    def steps(self, view: View) -> Iterator[Step]:
        """Yield the steps; each is taken before the next is asked for."""

    def next(self, view: View) -> Step | None:
        """The generator's next step."""
        if self._chosen is None:
            self._chosen = self.steps(view)
        return next(self._chosen, None)

    def told(self, step: Step, events: Sequence[Event]) -> None:  # noqa: B027 - a generator reads it from the view
        """Nothing to do: the view shows the events as well."""
