"""What chooses the next step, as a value. A strategy of your own is one file: a class with these two methods."""

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
    """What a strategy may look at before it chooses. It changes nothing here: it proposes steps."""

    world: World
    """Its clients, its history, the queue as it was last observed."""
    taken: Sequence[Step]
    """The steps of this story so far."""
    judge: Judge
    avoided: frozenset[str] = frozenset()
    """Operations that are better left out of this story: what they break is known."""

    def enabled(self) -> list[Step]:
        """The steps that can be taken now, each kind's in its simplest form."""
        return self.world.enabled()

    def refusal(self, step: Step) -> str | None:
        """Why a step cannot be taken now, or None if it can."""
        return refusal(self.world, step)


class Strategy(Protocol):
    """Chooses the steps of one story. `Run.follow` asks it for each, takes it, and says what happened."""

    def next(self, view: View) -> Step | None:
        """The step to take now; None ends the story."""

    def told(self, step: Step, events: Sequence[Event]) -> None:
        """What happened in the step that it chose; not called for the step that broke a promise."""


@define(kw_only=True)
class Sequential(ABC):
    """A strategy that is written as one generator, and reads what happened from the view."""

    _chosen: Iterator[Step] | None = field(init=False, default=None)

    @abstractmethod
    def steps(self, view: View) -> Iterator[Step]:
        """The steps, each of them taken before the next is asked for."""

    def next(self, view: View) -> Step | None:
        """The generator's next step."""
        if self._chosen is None:
            self._chosen = self.steps(view)
        return next(self._chosen, None)

    def told(self, step: Step, events: Sequence[Event]) -> None:  # noqa: B027 - a generator reads it from the view
        """Nothing to do: the view shows what happened as well."""
