"""Hypothesis' machines as a strategy: many stories in a row, each of them a choice of steps.

Hypothesis calls the rules, and a rule says "take this step"; a strategy is asked for its next step instead. So the
machine runs in a `Dialogue`: its questions are steps, and the answer to one is that it was taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Self

import hypothesis
from attrs import define, field
from hypothesis.stateful import run_state_machine_as_test

from pgqmodel.bridge import Dialogue
from pgqmodel.explore.strategy import View
from pgqmodel.history import Event
from pgqmodel.machine.source import BACKEND
from pgqmodel.machine.vocabulary import BEGINS, ENDS, Vocabulary
from pgqmodel.steps import Step

__all__ = ["Stories"]

_QUIET: dict[str, Any] = {
    "backend": BACKEND,
    "database": None,
    "deadline": None,
    "phases": (hypothesis.Phase.generate,),
    "suppress_health_check": tuple(hypothesis.HealthCheck),
    "report_multiple_bugs": False,
    "verbosity": hypothesis.Verbosity.quiet,
    "print_blob": False,
}


class _BreakOff(BaseException):
    """Leaves Hypothesis at once. It is a BaseException, or Hypothesis would take it for a failing example."""


@define(kw_only=True)
class Stories:
    """The stories of a machine for a seed: at most `stories_max` of them, with at most `rules_max` rules each.

    A context manager: at its end Hypothesis is shut down in order, after an error too.
    """

    machine: type[Vocabulary]
    seed: int
    stories_max: int
    rules_max: int
    _dialogue: Dialogue = field(init=False)
    _asked: Any = field(init=False, default=None)
    """The machine's last question: a story begins, a story ends, or a step is to be taken."""

    def __attrs_post_init__(self) -> None:
        self._dialogue = Dialogue(self._run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Break off. Hypothesis may report flakiness, because it cannot see why an example ended early."""
        while self._asked is not None and not self.is_over:
            with contextlib.suppress(_BreakOff, hypothesis.errors.Flaky):
                self._dialogue.throw(_BreakOff())

    def _run(self) -> None:
        hypothesis.seed(self.seed)(self.machine)
        settings = hypothesis.settings(max_examples=self.stories_max, stateful_step_count=self.rules_max, **_QUIET)
        with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # it is: every story was dropped
            run_state_machine_as_test(self.machine, settings=settings)

    def has_another(self) -> bool:
        """Whether another story begins; its steps come through `next`."""
        if self._asked is not BEGINS:
            self._asked = self._dialogue.send()
        return self._asked is BEGINS

    @property
    def is_over(self) -> bool:
        """Whether the machine has told all its stories, or was broken off."""
        return self._dialogue.over

    @property
    def came_to_its_end(self) -> bool:
        """Whether the last story came to its end. Hypothesis drops a story that draws too much."""
        return self._asked is ENDS

    def drop(self) -> None:
        """Leave the present story, because it broke a promise. No later story begins in the same way."""
        self._asked = self._dialogue.throw(hypothesis.errors.UnsatisfiedAssumption())

    def next(self, view: View) -> Step | None:
        """The next step of the machine; None at the end of its story, or if Hypothesis dropped the story."""
        self._asked = self._dialogue.send(view) if self._asked is BEGINS else self._dialogue.send()
        return self._asked if isinstance(self._asked, Step) else None

    def told(self, step: Step, events: Sequence[Event]) -> None:
        """Nothing to do: the rules read what happened from the view."""
