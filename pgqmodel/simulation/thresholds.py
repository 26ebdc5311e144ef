"""Limits on what was measured. What was not measured has not kept its limit."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from attrs import field, frozen, validators

from pgqmodel.simulation.measures import Measures
from pgqmodel.simulation.wording import number

__all__ = ["NOT_MEASURED", "Outcome", "Threshold"]

NOT_MEASURED = "not measured"
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}
_TIMES = {"s": 1.0, "ms": 1e3, "us": 1e6}


@frozen(kw_only=True)
class Threshold:
    """A limit in a unit. `measured` is a key of `Measures.value`, or what computes the figure (None: not measured).

    A key of a latency is turned into the unit, which must be s, ms or us; every other figure is taken as it is.
    """

    name: str
    measured: str | Callable[[Measures], float | None]
    comparison: str = field(validator=validators.in_(_COMPARISONS))
    limit: float
    unit: str = ""

    def judge(self, measures: Measures) -> Outcome:
        """Whether the limit was kept, with the figure or the reason why there is none."""
        value = self._value(measures)
        if value is None or not math.isfinite(value):
            return Outcome(threshold=self, value=None, passed=False, reason=NOT_MEASURED)
        passed = _COMPARISONS[self.comparison](value, self.limit)
        return Outcome(threshold=self, value=value, passed=passed)

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
class Outcome:
    """A threshold, what was measured in its unit, and whether that is within the limit."""

    threshold: Threshold
    value: float | None
    passed: bool
    reason: str = ""

    @property
    def limit(self) -> str:
        """The limit as a phrase: `< 250 ms`."""
        return f"{self.threshold.comparison} {number(self.threshold.limit)} {self.threshold.unit}".rstrip()

    @property
    def figure(self) -> str:
        """What was measured as a phrase, or why nothing was."""
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
            "reason": self.reason or None,
        }
