"""The result of one run of a simulation: verdicts on promises, checks, thresholds, figures, and the exit code.

A promise that was not judged does not count as held, and a limit that was not measured does not count as kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from pgqmodel.judge import Outcome, Verdict
from pgqmodel.report.evidence import heading, verdict_json
from pgqmodel.simulation.latency import Latency
from pgqmodel.simulation.measures import Measures
from pgqmodel.simulation.series import Series
from pgqmodel.simulation.thresholds import Threshold, ThresholdReading

__all__ = ["Check", "Overall", "Result"]


class Overall(StrEnum):
    """The outcome of a run. `MISSED`: every promise held, but a threshold was missed or a check failed."""

    HELD = "held"
    BROKEN = "broken"
    MISSED = "missed"
    UNKNOWN = "unknown"


_EXIT_CODES = {Overall.HELD: 0, Overall.BROKEN: 1, Overall.MISSED: 1, Overall.UNKNOWN: 3}


@frozen(kw_only=True)
class Check:
    """A condition that had to be true each time it was checked. If it was never checked, it has not passed."""

    name: str
    passed: int
    failed: int

    @property
    def ok(self) -> bool:
        """Whether it was true every time, and was checked at least once."""
        return self.passed > 0 and self.failed == 0


@frozen(kw_only=True)
class Result:
    """One run of a simulation on one target.

    `started_at` is in seconds since the epoch, and so are the times in `measures`. `command` repeats the run,
    `environment` describes the machine; `unknown` is the reason if there is no verdict on the whole. A run that
    `failed` has no history to judge.
    """

    name: str
    target: str
    postgres: str
    started_at: float
    seconds: float
    title: str = ""
    command: str = ""
    scale: float = 1.0
    sizes: Mapping[str, Any] = field(factory=dict)
    promises: tuple[Verdict, ...] = ()
    checks: tuple[Check, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    measures: Measures = field(factory=Measures)
    notes: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(factory=dict)
    unknown: str = ""
    failed: bool = False
    outcomes: tuple[ThresholdReading, ...] = field(init=False)

    @outcomes.default
    def _judge(self) -> tuple[ThresholdReading, ...]:
        return tuple(threshold.judge(self.measures) for threshold in self.thresholds)

    def of(self, outcome: Outcome) -> tuple[Verdict, ...]:
        """The verdicts on promises with this outcome."""
        return tuple(judged for judged in self.promises if judged.outcome is outcome)

    @property
    def verdict(self) -> Overall:
        """The outcome of the run; a failure outweighs an unknown verdict."""
        if self.of(Outcome.BROKEN):
            return Overall.BROKEN
        if self.missed:
            return Overall.MISSED
        if self.unknown or self.of(Outcome.UNKNOWN) or not self.of(Outcome.HELD):
            return Overall.UNKNOWN
        return Overall.HELD

    @property
    def missed(self) -> tuple[str, ...]:
        """A sentence for each failed check and each missed threshold."""
        checks = [
            f"{check.name}: failed {check.failed:,} of {check.passed + check.failed:,} times"
            if check.failed
            else f"{check.name}: never looked at"
            for check in self.checks
            if not check.ok
        ]
        return (*checks, *(outcome.told for outcome in self.outcomes if outcome.missed))

    @property
    def open(self) -> tuple[str, ...]:
        """A sentence for each threshold that cannot be judged."""
        return tuple(outcome.told for outcome in self.outcomes if outcome.open)

    @property
    def reasons(self) -> tuple[str, ...]:
        """A sentence for each reason why this run did not simply hold."""
        broken = [heading(judged) for judged in (*self.of(Outcome.BROKEN), *self.of(Outcome.UNKNOWN))]
        return (*([self.unknown] if self.unknown else []), *broken, *self.missed, *self.open)

    @property
    def exit_code(self) -> int:
        """0 if all is well, 1 if a promise broke, a threshold was missed or a check failed, 3 without a verdict."""
        return _EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints; the order of its keys is fixed."""
        rate = self.seconds or 1.0
        return {
            "simulation": self.name,
            "target": self.target,
            "verdict": self.verdict.value,
            "exit_code": self.exit_code,
            "unknown": self.unknown or None,
            "postgres": self.postgres,
            "scale": self.scale,
            "sizes": dict(self.sizes),
            "started_at": self.started_at,
            "seconds": round(self.seconds, 3),
            "promises": {judged.promise: verdict_json(judged) for judged in self.promises},
            "not_exercised": [judged.promise for judged in self.of(Outcome.NOT_EXERCISED)],
            "checks": {check.name: {"passed": check.passed, "failed": check.failed} for check in self.checks},
            "thresholds": [outcome.to_json() for outcome in self.outcomes],
            "counters": {
                name: {"count": count, "per_second": round(count / rate, 3)}
                for name, count in sorted(self.measures.counters.items())
            },
            "latencies": {name: _latency(value) for name, value in sorted(self.measures.latencies.items())},
            "series": {name: _series(value, self.started_at) for name, value in sorted(self.measures.series.items())},
            "marks": [[round(mark.at - self.started_at, 3), mark.label] for mark in self.measures.marks],
            "phases": [[round(mark.at - self.started_at, 3), mark.label] for mark in self.measures.marks if mark.phase],
            "notes": list(self.notes),
            "environment": dict(self.environment),
            "command": self.command,
        }


def _latency(latency: Latency) -> dict[str, Any]:
    times = {f"{name}_ms": round(seconds * 1e3, 3) for name, seconds in latency.statistics().items()}
    return {"count": latency.count, **times, "outside": latency.outside}


def _series(series: Series, start: float) -> dict[str, Any]:
    """The curve as [seconds since the start, mean, max]."""
    points = [[round(at - start, 3), round(value.mean, 3), round(value.max, 3)] for at, value in series.points()]
    return {**series.statistics(), "width_s": series.width, "points": points}
