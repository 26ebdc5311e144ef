"""Latencies: a histogram that keeps their tail, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field
from hdrh.histogram import HdrHistogram

__all__ = ["PERCENTILES", "Latency"]

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
_MICROSECONDS = 1_000_000
_LONGEST_US = 3_600 * _MICROSECONDS
_DIGITS = 3
_TICKS = 5


def _empty() -> Any:
    return HdrHistogram(1, _LONGEST_US, _DIGITS)


@define(kw_only=True)
class Latency:
    """Latencies from 1 us to 1 h with three significant digits; all values are given in seconds.

    A value outside this range is recorded at the nearest end and counted in `outside`: the clocks of two processes may
    differ by a few microseconds, and a dropped value would make the tail look better. Sum and extremes are exact.
    """

    count: int = 0
    total: float = 0.0
    min: float = math.inf
    max: float = 0.0
    outside: int = 0
    _histogram: Any = field(factory=_empty, repr=False)

    def record(self, seconds: float) -> None:
        """Add a latency; ValueError if it is not a number."""
        if not math.isfinite(seconds):
            message = f"a latency of {seconds} s; expected a finite number of seconds. Leave out what has no end"
            raise ValueError(message)
        whole = round(seconds * _MICROSECONDS)
        clamped = min(max(whole, 1), _LONGEST_US)
        self.outside += whole < 0 or whole > _LONGEST_US
        self._histogram.record_value(clamped)
        seconds = max(seconds, 0.0)
        self.count += 1
        self.total += seconds
        self.min = min(self.min, seconds)
        self.max = max(self.max, seconds)

    def merge(self, other: Latency) -> None:
        """Add all latencies of `other`."""
        if not other.count:
            return
        self._histogram.add(other._histogram)
        self.count += other.count
        self.total += other.total
        self.outside += other.outside
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)

    @property
    def mean(self) -> float | None:
        """The mean; None if nothing was recorded."""
        return self.total / self.count if self.count else None

    def statistics(self) -> dict[str, float]:
        """`min`, `mean`, the percentiles and `max` in seconds; empty if nothing was recorded."""
        if not self.count:
            return {}
        found = self._percentiles(list(PERCENTILES.values()))
        middle = {name: found[percent] for name, percent in PERCENTILES.items()}
        return {"min": self.min, "mean": self.total / self.count, **middle, "max": self.max}

    def _percentiles(self, percents: list[float]) -> dict[float, float]:
        """The percentiles. The histogram gives the end of a bucket, so the exact extremes bound the values."""
        found = self._histogram.get_percentile_to_value_dict(percents)
        return {percent: max(min(us / _MICROSECONDS, self.max), self.min) for percent, us in found.items()}

    def distribution(self) -> Iterator[tuple[float, float]]:
        """(percent, seconds) from the median into the tail, in ever smaller steps, for an HDR plot."""
        for item in self._histogram.get_percentile_iterator(_TICKS):
            yield item.percentile_level_iterated_to, min(item.value_iterated_to / _MICROSECONDS, self.max)

    def to_json(self) -> dict[str, Any]:
        """All values as JSON, for another process."""
        if not self.count:
            return {"count": 0}
        exact = {name: getattr(self, name) for name in ("count", "total", "min", "max", "outside")}
        return {**exact, "histogram": self._histogram.encode().decode("ascii")}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Latency:
        """Read the result of `to_json`."""
        if not record["count"]:
            return cls()
        exact = {name: record[name] for name in ("count", "total", "min", "max", "outside")}
        return cls(**exact, histogram=HdrHistogram.decode(record["histogram"]))
