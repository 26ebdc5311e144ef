"""Limits for measured figures. A figure that was not measured, or that rests on chance, has not kept its limit.

A figure from too few samples means nothing: the 99th percentile of two values is the greater one. Such a threshold is
neither kept nor missed, and every report says so.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from attrs import field, frozen, validators

from pgqmodel.simulation.latency import PERCENTILES
from pgqmodel.simulation.measures import Measures
from pgqmodel.simulation.wording import number

__all__ = ["NOT_MEASURED", "Threshold", "ThresholdReading"]

NOT_MEASURED = "not measured"
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}
_SAMPLES = {name: round(100 / (100 - percent)) for name, percent in PERCENTILES.items()}
_TIMES = {"s": 1.0, "ms": 1e3, "us": 1e6}


@frozen(kw_only=True)
class Threshold:
    """A limit in a unit. `measured` is a key of `Measures.value`, or a function for the figure (None: not measured).

    A latency is converted to the unit, which must be s, ms or us; other figures are taken as they are. A percentile
    needs enough samples for one to lie beyond it. For a computed figure, `samples` counts the samples, and it needs
    `samples_min` of them.
    """

    name: str
    measured: str | Callable[[Measures], float | None]
    comparison: str = field(validator=validators.in_(_COMPARISONS))
    limit: float
    unit: str = ""
    samples: Callable[[Measures], int] | None = None
    samples_min: int = 0

    def judge(self, measures: Measures) -> ThresholdReading:
        """Judge the limit: the reading has the figure, or the reason why there is none."""
        value = self._value(measures)
        if value is None or not math.isfinite(value):
            return ThresholdReading(threshold=self, value=None, passed=False, reason=NOT_MEASURED)
        found, least = self._samples(measures)
        if found < least:
            reason = f"{NOT_MEASURED}: {number(found)} of {number(least)} samples"
            return ThresholdReading(threshold=self, value=None, passed=False, open=True, reason=reason)
        passed = _COMPARISONS[self.comparison](value, self.limit)
        return ThresholdReading(threshold=self, value=value, passed=passed)

    def _samples(self, measures: Measures) -> tuple[int, int]:
        """The number of samples of the figure, and the number that it needs."""
        if self.samples is not None:
            return self.samples(measures), self.samples_min
        if not isinstance(self.measured, str) or not measures.is_time(self.measured):
            return 0, 0
        name, _, statistic = self.measured.rpartition(".")
        return measures.latencies[name].count, _SAMPLES.get(statistic, 1)

    def _value(self, measures: Measures) -> float | None:
        if not isinstance(self.measured, str):
            return self.measured(measures)
        value = measures.value(self.measured)
        if value is None or not measures.is_time(self.measured):
            return value
        if self.unit not in _TIMES:
            message = f"threshold {self.name!r} is in {self.unit!r}; expected s, ms or us for a latency. Name one"
            raise ValueError(message)
        return value * _TIMES[self.unit]


@frozen(kw_only=True)
class ThresholdReading:
    """A threshold, the figure in its unit, and whether it is within the limit; `open` if that cannot be judged."""

    threshold: Threshold
    value: float | None
    passed: bool
    open: bool = False
    reason: str = ""

    @property
    def missed(self) -> bool:
        """Whether the limit was not kept, or nothing was measured."""
        return not self.passed and not self.open

    @property
    def word(self) -> str:
        """The outcome in a word: `pass`, `FAIL` or `not measured`."""
        return "pass" if self.passed else NOT_MEASURED if self.open else "FAIL"

    @property
    def limit(self) -> str:
        """The limit as a phrase: `< 250 ms`."""
        return f"{self.threshold.comparison} {number(self.threshold.limit)} {self.threshold.unit}".rstrip()

    @property
    def told(self) -> str:
        """The threshold and its outcome in one sentence."""
        return f"{self.threshold.name}: {self.figure}; the limit is {self.limit}"

    @property
    def figure(self) -> str:
        """The figure as a phrase, or the reason why there is none."""
        return self.reason if self.value is None else f"{number(self.value)} {self.threshold.unit}".rstrip()

    def to_json(self) -> dict[str, Any]:
        """The outcome as a JSON object."""
        return {
            "name": self.threshold.name,
            "measured": self.threshold.measured if isinstance(self.threshold.measured, str) else None,
            "comparison": self.threshold.comparison,
            "limit": self.threshold.limit,
            "unit": self.threshold.unit,
            "value": self.value,
            "passed": self.passed,
            "verdict": self.word.lower(),
            "reason": self.reason or None,
        }
