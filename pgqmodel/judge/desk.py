"""The desk of one story: it asks the questions, counts tests of promises, and collects broken promises.

A promise that the target does not declare may be judged quietly. The desk says of it what it would say if it were
declared beside the declared ones: it is asked in its place among them, up to its first break in a story. That break
ends nothing and is no finding, and the other promises are judged as if the quiet one were not there. A quiet promise is
not counted as put to the test; what it remembers of a call stands under its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pgqmodel.judge.culprit import blamed
from pgqmodel.judge.questions import Asked, Questions
from pgqmodel.model.change import Call, Change
from pgqmodel.model.state import ModelState
from pgqmodel.promises import PROMISES, Broken, Source, Watcher

__all__ = ["Desk"]


class Desk:
    """Asks about every event of one story; `values` has the target's value of each promise, `quiet` other promises."""

    def __init__(
        self, state: ModelState, values: Mapping[str, Any], source: Source, *, many: bool, quiet: tuple[str, ...] = ()
    ) -> None:
        self.state = state
        self.values = {**values, **dict.fromkeys(quiet, True)}
        self.questions = Questions.about(tuple(values), quiet, source)
        self.exercised: dict[str, int] = dict.fromkeys(values, 0)
        self.found: list[Broken] = []
        self.undeclared: dict[str, Broken | None] = dict.fromkeys(quiet)
        """How each promise that is judged quietly was broken first; None as long as it was not."""
        self.watchers: list[Watcher] = []
        self._many = many
        for name, value in self.values.items():
            for watch in PROMISES[name].watches:
                if source in watch.sources:
                    watch.enter(self._watcher(watch.kind), value)

    def _watcher(self, kind: type[Watcher]) -> Watcher:
        found = self.state.watchers.get(kind)
        if found is None:
            found = self.state.watchers[kind] = kind(self.count)
            self.watchers.append(found)
        return found

    def count(self, promise: str) -> None:
        """Count that a promise was put to the test."""
        if promise in self.exercised:
            self.exercised[promise] += 1

    def find(self, broken: Broken) -> None:
        """A promise is broken, and a declared one is a finding."""
        if broken.promise not in self.undeclared:
            self.found.append(broken)
        elif self.undeclared[broken.promise] is None:
            self.undeclared[broken.promise] = broken

    def put(self, asked: Asked, subject: Any) -> None:
        """Count the promises that are put to the test, then ask the rules: the first broken one names the finding."""
        if self.found and not self._many:
            return
        state, exercised, undeclared = self.state, self.exercised, self.undeclared
        for name, occurred in asked.trials:
            if occurred(state, subject):
                exercised[name] += 1
        for name, judge in asked.rules:
            if undeclared.get(name) is not None:
                continue
            broken = judge(state, subject, self.values[name])
            if broken is not None:
                self.find(blamed(state, subject, broken))
                if name in undeclared:
                    continue
                # A broken promise was put to the test, even if its trial is asked later or never.
                if not any(each == name and occurred(state, subject) for each, occurred in asked.trials):
                    exercised[name] += 1
                return

    def meet(self, call: Call, version: int) -> None:
        """A call took its first snapshot; `version` is the state's version that it shows."""
        state, facts = self.state, call.facts
        call.ran_at, call.ran_version = state.now, version
        for name, look in self.questions.met[call.operation]:
            facts[name] = look(state, call, facts.get(name))

    def remember(self, table: Mapping[str, Iterable[tuple[str, Any]]], call: Call) -> None:
        """Keep the facts about a call that the memories of one hook look for."""
        for name, look in table[call.operation]:
            call.facts[name] = look(self.state, call, call.facts.get(name))

    def keep(self, change: Change) -> None:
        """Keep the facts about a call that follow from a change that it made."""
        call = change.call
        if call is not None:
            for name, look in self.questions.kept[change.meaning]:
                call.facts[name] = look(self.state, change, call.facts.get(name))
