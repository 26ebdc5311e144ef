"""The verdict on a whole history: for every promise whether it held, how often it was tried and how often broken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from attrs import define, evolve, field, frozen

from pgqmodel.history import Event, Judged, Observed
from pgqmodel.model.judge import Judge
from pgqmodel.model.rule import Broken
from pgqmodel.promises import PROMISES

__all__ = ["Found", "Outcome", "Verdict", "Verdicts", "examine_all"]

_MORE_KEPT = 50
"""How many violations of a promise are kept beside the first, for whoever wants to see another."""


class Outcome(StrEnum):
    """What can be said of a promise. A promise that was never put to the test did not hold: nobody knows."""

    HELD = "held"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    NOT_EXERCISED = "not exercised"


_WORST_FIRST = (Outcome.BROKEN, Outcome.UNKNOWN, Outcome.HELD, Outcome.NOT_EXERCISED)


@frozen(kw_only=True)
class Verdict:
    """What became of one promise. `violations` counts them all; `first` is the evidence, `more` some others."""

    promise: str
    outcome: Outcome
    witnessed: int = 0
    violations: int = 0
    first: Broken | None = None
    more: tuple[Broken, ...] = ()


@frozen(kw_only=True)
class Verdicts:
    """What became of every promise that was judged, and of how many events that is said.

    `judged` is the header if there was one; `ordered` is false if no commit was in the history.
    """

    promises: Mapping[str, Verdict]
    events: int
    judged: Judged | None = None
    ordered: bool = True

    @property
    def outcome(self) -> Outcome:
        """The worst that is said of any promise; where none was put to the test, nothing is known."""
        worst = min((verdict.outcome for verdict in self.promises.values()), key=_WORST_FIRST.index, default=None)
        return Outcome.UNKNOWN if worst in {None, Outcome.NOT_EXERCISED} else worst

    @property
    def broken(self) -> list[Verdict]:
        """The broken ones, in the order in which they were broken."""
        found = [verdict for verdict in self.promises.values() if verdict.first is not None]
        return sorted(found, key=lambda verdict: verdict.first.step if verdict.first is not None else 0)

    @property
    def not_exercised(self) -> list[str]:
        """The promises that were never put to the test."""
        return [name for name, verdict in self.promises.items() if verdict.outcome is Outcome.NOT_EXERCISED]

    def joined(self, other: Verdict) -> Verdicts:
        """These verdicts with one more, which counts beside what was said of the same promise."""
        mine = self.promises.get(other.promise, other)
        together = mine if mine is other else _join(mine, other)
        return evolve(self, promises={**self.promises, other.promise: together})


def _join(one: Verdict, other: Verdict) -> Verdict:
    """Two verdicts on the same promise, from different evidence."""
    outcome = min((one.outcome, other.outcome), key=_WORST_FIRST.index)
    return Verdict(
        promise=one.promise,
        outcome=outcome,
        witnessed=one.witnessed + other.witnessed,
        violations=one.violations + other.violations,
        first=one.first or other.first,
        more=one.more + other.more,
    )


@define
class Found:
    """What was found, promise by promise, while a history goes by."""

    first: dict[str, Broken] = field(factory=dict)
    more: dict[str, deque[Broken]] = field(factory=dict)
    violations: dict[str, int] = field(factory=dict)

    def add(self, found: Broken) -> None:
        """One more violation; the first of its promise is the evidence."""
        self.violations[found.promise] = self.violations.get(found.promise, 0) + 1
        if found.promise not in self.first:
            self.first[found.promise] = found
            self.more[found.promise] = deque()
        elif len(self.more[found.promise]) < _MORE_KEPT:
            self.more[found.promise].append(found)

    def verdict(self, promise: str, witnessed: int) -> Verdict:
        """What all that says of a promise."""
        first = self.first.get(promise)
        held = Outcome.HELD if witnessed else Outcome.NOT_EXERCISED
        return Verdict(
            promise=promise,
            outcome=Outcome.BROKEN if first is not None else held,
            witnessed=witnessed,
            violations=self.violations.get(promise, 0),
            first=first,
            more=tuple(self.more.get(promise, ())),
        )


def examine_all(
    events: Iterable[Event], *, promises: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> Verdicts:
    """Judge a whole history, in one pass and without keeping it.

    What it is judged by are `promises` and `settings`; else what its `Judged` event says; else every promise that says
    all in its name, which the history may or may not put to the test.
    """
    stream = iter(events)
    first = next(stream, None)
    judged = first if isinstance(first, Judged) else None
    if promises is None:
        promises = judged.promises if judged is not None else PLAIN
    if settings is None:
        settings = judged.settings if judged is not None else {}
    judge, tally, count, seen = Judge(promises=promises, settings=settings), Found(), 0, False
    findings = judge.findings
    for event in _again(first, stream):
        count += 1
        seen = seen or type(event) is Observed
        for found in findings(event):
            tally.add(found)
    for found in judge.finish():
        tally.add(found)
    return Verdicts(
        promises={name: tally.verdict(name, witnessed) for name, witnessed in judge.witnessed.items()},
        events=count,
        judged=judged,
        ordered=seen or not judge.state.in_flight.begun,
    )


def _again(first: Event | None, rest: Iterable[Event]) -> Iterable[Event]:
    if first is not None:
        yield first
        yield from rest


PLAIN: Mapping[str, Any] = {name: True for name in PROMISES if name not in {"claim-order", "live-limit"}}
"""What a history without a header is judged by: no order and no limit is known."""
