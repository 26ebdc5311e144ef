"""The measures of a simulation: counters, latencies, series over time, and marks for faults and phases.

Every process of a simulation may fill its own measures and write them to a file; they are merged later. No verdicts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from pgqmodel.errors import UsageError
from pgqmodel.simulation.latency import Latency
from pgqmodel.simulation.series import Series

__all__ = ["MARKS_MAX", "TIMES", "Mark", "Measures", "read_measures", "write_measures"]

MARKS_MAX = 2_000
TIMES = frozenset({"min", "mean", "p50", "p90", "p95", "p99", "max"})
"""The statistics of a latency that are times, in seconds."""


@frozen(kw_only=True)
class Mark:
    """A mark at an instant (seconds since the epoch): a fault, its end, or the begin of a `phase` of the load."""

    at: float
    label: str
    phase: bool = False


@define(kw_only=True)
class Measures:
    """Named figures. A name that was never used has no value, which is not the same as zero."""

    counters: dict[str, int] = field(factory=dict)
    latencies: dict[str, Latency] = field(factory=dict)
    series: dict[str, Series] = field(factory=dict)
    marks: list[Mark] = field(factory=list)
    marks_dropped: int = 0
    rates: dict[str, Series] = field(factory=dict)
    """For counters with times: the counts over time."""
    trails: dict[str, Series] = field(factory=dict)
    """For latencies with times: the latencies over time."""

    def count(self, name: str, amount: int = 1, *, at: float | None = None) -> None:
        """Count. An amount of 0 says: looked for and not found. With `at` (since the epoch) it gets a curve."""
        self.counters[name] = self.counters.get(name, 0) + amount
        if at is not None:
            self.rates.setdefault(name, Series()).add(at, amount)

    def record(self, name: str, seconds: float, *, at: float | None = None) -> None:
        """Record a latency. With `at`, the time of its end (since the epoch), it gets a curve."""
        # Not setdefault: that would make an empty histogram of thousands of counters, a million times.
        latency = self.latencies.get(name)
        if latency is None:
            latency = self.latencies[name] = Latency()
        latency.record(seconds)
        if at is not None:
            self.trails.setdefault(name, Series()).add(at, max(seconds, 0.0))

    def sample(self, name: str, value: float, *, at: float) -> None:
        """Record the value of a gauge at an instant."""
        self.series.setdefault(name, Series()).add(at, value)

    def mark(self, label: str, *, at: float, phase: bool = False) -> None:
        """Mark an instant on the time axis, as a fault or as a `phase` of the load."""
        if len(self.marks) < MARKS_MAX:
            self.marks.append(Mark(at=at, label=label, phase=phase))
        else:
            self.marks_dropped += 1

    def merge(self, other: Measures) -> None:
        """Add the measures of another process."""
        for name, amount in other.counters.items():
            self.count(name, amount)
        for name, latency in other.latencies.items():
            self.latencies.setdefault(name, Latency()).merge(latency)
        for mine, theirs in ((self.series, other.series), (self.rates, other.rates), (self.trails, other.trails)):
            for name, series in theirs.items():
                mine.setdefault(name, Series()).merge(series)
        self.marks_dropped += other.marks_dropped
        for mark in other.marks:
            self.mark(mark.label, at=mark.at, phase=mark.phase)
        self.marks.sort(key=lambda mark: mark.at)

    def value(self, key: str) -> float | None:
        """The figure that a key names; None if it was not measured.

        Keys: a counter's name; `latency.p99` (or another statistic, in seconds; or `count`); `series.mean`, `.max`,
        `.last`; `counter.rate`, a second, on average from its first to its last bucket.
        """
        if key in self.counters:
            return self.counters[key]
        name, _, statistic = key.rpartition(".")
        if name in self.latencies:
            latency = self.latencies[name]
            return {"count": latency.count, **latency.statistics()}.get(statistic)
        if name in self.series:
            return self.series[name].statistics().get(statistic)
        if name in self.rates and statistic == "rate":
            curve = [rate for _, rate in self.rates[name].rates()]
            return sum(curve) / len(curve)
        return None

    def is_time(self, key: str) -> bool:
        """Whether a key names a latency's statistic in seconds."""
        name, _, statistic = key.rpartition(".")
        return key not in self.counters and name in self.latencies and statistic in TIMES

    def to_json(self) -> dict[str, Any]:
        """All values as JSON, for another process."""
        parts = {part: getattr(self, part) for part in ("latencies", "series", "rates", "trails")}
        return {
            "counters": self.counters,
            **{part: {name: value.to_json() for name, value in values.items()} for part, values in parts.items()},
            "marks": [[mark.at, mark.label, mark.phase] for mark in self.marks],
            "marks_dropped": self.marks_dropped,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Measures:
        """Read the result of `to_json`."""
        series = {
            part: {name: Series.from_json(value) for name, value in record[part].items()}
            for part in ("series", "rates", "trails")
        }
        return cls(
            counters=dict(record["counters"]),
            latencies={name: Latency.from_json(value) for name, value in record["latencies"].items()},
            marks=[Mark(at=at, label=label, phase=phase) for at, label, phase in record["marks"]],
            marks_dropped=record["marks_dropped"],
            **series,
        )


def write_measures(path: Path, measures: Measures) -> None:
    """Write the measures whole or not at all: a process killed here leaves the last file."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(json.dumps(measures.to_json()), encoding="utf-8")
    beside.replace(path)


def read_measures(paths: Iterable[Path]) -> Measures:
    """The measures of all these files together; UsageError with the name of a file that holds none."""
    together = Measures()
    for path in paths:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            together.merge(Measures.from_json(record))
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            message = (
                f"{path} holds no measures: {error!r}; expected what a process of a simulation wrote. Leave it out"
            )
            raise UsageError(message) from error
    return together
