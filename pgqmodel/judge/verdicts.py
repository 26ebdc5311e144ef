"""The verdicts on a whole history: for every promise whether it held, and how often it was tested and broken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import chain
from typing import Any

from attrs import define, field, frozen

from pgqmodel.history import Event, Judged, Observed
from pgqmodel.judge.judge import Judge
from pgqmodel.model.facts import Fact
from pgqmodel.operations import Lease, operations_of
from pgqmodel.promises import PROMISES, Broken, Source

__all__ = ["Found", "Outcome", "Verdict", "Verdicts", "examine_all"]

_MORE_KEPT = 50
"""The number of violations of a promise that are kept beside the first one."""


class Outcome(StrEnum):
    """The outcome for a promise. If it was never put to the test, it is not known to hold."""

    HELD = "held"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    NOT_EXERCISED = "not exercised"


_WORST_FIRST = (Outcome.BROKEN, Outcome.UNKNOWN, Outcome.HELD, Outcome.NOT_EXERCISED)


@frozen(kw_only=True)
class Verdict:
    """The verdict on one promise. `violations` counts all violations; `first` is the evidence, `more` has some others.

    `unknown` is the reason if there is no outcome.
    """

    promise: str
    outcome: Outcome
    exercised: int = 0
    violations: int = 0
    first: Broken | None = None
    more: tuple[Broken, ...] = ()
    unknown: str = ""

    @classmethod
    def of(
        cls,
        promise: str,
        *,
        exercised: int,
        violations: int = 0,
        anomaly: str | None = None,
        facts: Iterable[Fact] = (),
        unknown: str = "",
    ) -> Verdict:
        """The verdict from these numbers. A violation outweighs `unknown`; without a test the promise did not hold."""
        first = None
        if violations:
            outcome, unknown = Outcome.BROKEN, ""
            first = Broken.beside(promise, anomaly or "", facts)
        elif unknown:
            outcome = Outcome.UNKNOWN
        else:
            outcome = Outcome.HELD if exercised else Outcome.NOT_EXERCISED
        return cls(
            promise=promise, outcome=outcome, exercised=exercised, violations=violations, first=first, unknown=unknown
        )

    @property
    def anomaly(self) -> str | None:
        """The anomaly of the first violation."""
        return self.first.anomaly if self.first is not None else None

    def joined(self, other: Verdict) -> Verdict:
        """This verdict and another one on the same promise, from other evidence."""
        return Verdict(
            promise=self.promise,
            outcome=min((self.outcome, other.outcome), key=_WORST_FIRST.index),
            exercised=self.exercised + other.exercised,
            violations=self.violations + other.violations,
            first=self.first or other.first,
            more=self.more + other.more,
            unknown=self.unknown or other.unknown,
        )

    def __attrs_post_init__(self) -> None:
        """Refuse a verdict that contradicts itself, so that no report has to check it."""
        broken = self.outcome is Outcome.BROKEN
        if broken != (self.violations > 0) or broken != (self.first is not None):
            message = (
                f"{self.promise} is {self.outcome} with {self.violations} violations and the anomaly {self.anomaly}; "
                "expected both of what is broken, and neither of anything else. Use `Verdict.of`"
            )
            raise ValueError(message)
        if self.outcome is Outcome.HELD and not self.exercised:
            message = f"{self.promise} is held and was not exercised; expected `not exercised`. Use `Verdict.of`"
            raise ValueError(message)


@frozen(kw_only=True)
class Verdicts:
    """The verdicts on all judged promises, and the number of events.

    `judged` is the header, if there was one; `ordered` is False if the history has no commits.
    """

    promises: Mapping[str, Verdict]
    events: int
    judged: Judged | None = None
    ordered: bool = True

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of all promises; unknown if no promise was put to the test."""
        worst = min((verdict.outcome for verdict in self.promises.values()), key=_WORST_FIRST.index, default=None)
        return Outcome.UNKNOWN if worst in {None, Outcome.NOT_EXERCISED} else worst

    @property
    def broken(self) -> list[Verdict]:
        """The verdicts on broken promises, in the order of their first violations."""
        found = [verdict for verdict in self.promises.values() if verdict.first is not None]
        return sorted(found, key=lambda verdict: verdict.first.step if verdict.first is not None else 0)

    @property
    def not_exercised(self) -> list[str]:
        """The promises that were never put to the test."""
        return [name for name, verdict in self.promises.items() if verdict.outcome is Outcome.NOT_EXERCISED]


@define
class Found:
    """The violations so far, by promise."""

    first: dict[str, Broken] = field(factory=dict)
    more: dict[str, deque[Broken]] = field(factory=dict)
    violations: dict[str, int] = field(factory=dict)

    def add(self, found: Broken) -> None:
        """Add a violation; the first one of a promise is the evidence."""
        self.violations[found.promise] = self.violations.get(found.promise, 0) + 1
        if found.promise not in self.first:
            self.first[found.promise] = found
            self.more[found.promise] = deque()
        elif len(self.more[found.promise]) < _MORE_KEPT:
            self.more[found.promise].append(found)

    def verdict(self, promise: str, exercised: int) -> Verdict:
        """The verdict on a promise."""
        first = self.first.get(promise)
        held = Outcome.HELD if exercised else Outcome.NOT_EXERCISED
        return Verdict(
            promise=promise,
            outcome=Outcome.BROKEN if first is not None else held,
            exercised=exercised,
            violations=self.violations.get(promise, 0),
            first=first,
            more=tuple(self.more.get(promise, ())),
        )


def examine_all(
    events: Iterable[Event], *, promises: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> Verdicts:
    """Judge a whole history in one pass, without keeping it in memory.

    It is judged by `promises` and `settings`. Without these, by its header (the `Judged` event); without a header, by
    every promise that takes no parameter.
    """
    stream = iter(events)
    start = list(_until_dated(stream))
    judged = start[0] if start and isinstance(start[0], Judged) else None
    if promises is None:
        promises = judged.promises if judged is not None else _plain()
    if settings is None:
        settings = judged.settings if judged is not None else {}
    source = Source.RECORDED if any(event.at is not None for event in start) else Source.EXPLORED
    moments = judged.moments if judged is not None else ()
    leases = judged.leases if judged is not None else (Lease.HEARTBEAT,)
    kinds = operations_of(settings.get("delivery"))
    judge = Judge(promises=promises, settings=settings, moments=moments, leases=leases, kinds=kinds, source=source)
    tally, count, seen = Found(), 0, False
    findings = judge.findings
    for event in chain(start, stream):
        count += 1
        seen = seen or type(event) is Observed
        for found in findings(event):
            tally.add(found)
    for found in judge.finish():
        tally.add(found)
    return Verdicts(
        promises={name: tally.verdict(name, exercised) for name, exercised in judge.exercised.items()},
        events=count,
        judged=judged,
        ordered=seen or not judge.state.in_flight.begun,
    )


def _until_dated(stream: Iterator[Event]) -> Iterator[Event]:
    """The events up to the first one that is no header; that one shows whether the history was recorded."""
    for event in stream:
        yield event
        if type(event) is not Judged:
            break


def _plain() -> Mapping[str, Any]:
    """The promises for a history without a header: those that take no parameter."""
    return {name: True for name, promise in PROMISES.items() if promise.value.plain}
