"""What the judge has to say: the first broken promise of an event, and how often each promise was put to the test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from pgqmodel.promises import ANOMALIES

__all__ = ["Broken", "Verdicts"]


@frozen(kw_only=True)
class Broken:
    """A broken promise: its anomaly, the job and the step it happened at, and the evidence in sentences."""

    promise: str
    anomaly: str
    job: str | None
    step: int
    explanation: tuple[str, ...]


@define(kw_only=True)
class Verdicts:
    """Collects findings and witnesses for the promises that are declared; the rest is nobody's business."""

    promises: Mapping[str, Any]
    step: int = 0
    first: Broken | None = None
    witnessed: Counter[str] = field(factory=Counter)

    def broken(self, anomaly: str, job: str | None, *explanation: str) -> bool:
        """Record an anomaly, if its promise is declared and nothing was found before; whether it is declared."""
        promise = ANOMALIES[anomaly]
        if promise not in self.promises:
            return False
        if self.first is None:
            self.first = Broken(promise=promise, anomaly=anomaly, job=job, step=self.step, explanation=explanation)
        return True

    def witness(self, promise: str, count: int = 1) -> None:
        """Record that a promise was put to the test."""
        if promise in self.promises and count:
            self.witnessed[promise] += count
