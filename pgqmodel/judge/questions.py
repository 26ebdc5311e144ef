"""The rules, trials and memories of the judged promises, looked up by hook and word, so that no other is asked.

A promise that is judged quietly has no trials. The tables are made once for all stories that are judged by the same
promises, because a judge lives for one story only.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Any

from attrs import frozen

from pgqmodel.catalogue import Catalogue
from pgqmodel.model.state import ModelState
from pgqmodel.promises import PROMISES, Broken, Hook, Memory, Promise, Rule, Source, Trial

__all__ = ["Asked", "Questions"]

_Memories = tuple[tuple[str, Callable[[ModelState, Any, Any], Any]], ...]


@frozen
class Asked:
    """The trials and rules that are asked about one event, each with its promise's name.

    Rules are asked in order of precedence: the first that is broken gives the event its name.
    """

    trials: tuple[tuple[str, Callable[[ModelState, Any], bool]], ...]
    rules: tuple[tuple[str, Callable[[ModelState, Any, Any], Broken | None]], ...]


class _ByWord(dict[str, Any]):
    """A table that is filled when a word, an operation or a meaning, is first looked up."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, word: str) -> Any:
        made = self[word] = self._make(word)
        return made


class Questions:
    """The tables of questions: RETURNED and memories by operation, CHANGED by meaning, one for each other hook."""

    def __init__(self, declared: Container[str], quiet: Container[str], source: Source) -> None:
        judged = [promise for name, promise in PROMISES.items() if name in declared or name in quiet]
        self._promises = sorted(judged, key=lambda promise: promise.precedence)
        self._quiet = quiet
        self._source = source
        self.returned: dict[str, Asked] = _ByWord(lambda word: self._about(Hook.RETURNED, word))
        self.changed: dict[str, Asked] = _ByWord(lambda word: self._about(Hook.CHANGED, word))
        self.observed = self._about(Hook.OBSERVED, None)
        self.blocked = self._about(Hook.BLOCKED, None)
        self.deadlocked = self._about(Hook.DEADLOCKED, None)
        self.drained = self._about(Hook.DRAINED, None)
        self.working = self._about(Hook.WORKING, None)
        self.met: dict[str, _Memories] = _ByWord(lambda word: self._memories(Hook.MET, word))
        self.ran: dict[str, _Memories] = _ByWord(lambda word: self._memories(Hook.RAN, word))
        self.waited: dict[str, _Memories] = _ByWord(lambda word: self._memories(Hook.WAITED, word))
        self.committed: dict[str, _Memories] = _ByWord(lambda word: self._memories(Hook.COMMITTED, word))
        self.kept: dict[str, _Memories] = _ByWord(lambda word: self._memories(Hook.CHANGED, word))

    @staticmethod
    def about(declared: tuple[str, ...], quiet: tuple[str, ...], source: Source) -> Questions:
        """The questions about the declared promises and about those that are judged quietly; made once and kept."""
        made: dict[Any, Questions] = PROMISES.table(_nothing_made)
        found = made.get((declared, quiet, source))
        if found is None:
            found = made[declared, quiet, source] = Questions(declared, quiet, source)
        return found

    def _about(self, hook: Hook, word: str | None) -> Asked:
        asked = self._those("trials", hook, word)
        trials = ((promise.name, trial.occurred) for promise, trial in asked if promise.name not in self._quiet)
        rules = ((promise.name, rule.judge) for promise, rule in self._those("rules", hook, word))
        return Asked(tuple(trials), tuple(rules))

    def _memories(self, hook: Hook, word: str) -> _Memories:
        return tuple((promise.name, memory.look) for promise, memory in self._those("memories", hook, word))

    def _those(self, kind: str, hook: Hook, word: str | None) -> Iterator[tuple[Promise, Any]]:
        """The rules, trials or memories that an operation or meaning can trigger; None stands for every word."""
        for promise in self._promises:
            each: Rule | Trial | Memory
            for each in getattr(promise, kind):
                speaks = word is None or each.about is None or word in each.about
                if each.hook is hook and self._source in each.sources and speaks:
                    yield promise, each


def _nothing_made(promises: Catalogue[Promise]) -> dict[Any, Questions]:
    return {}
