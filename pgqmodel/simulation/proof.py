"""Proofs of promises that no commit shows and the load tests itself: wake-ups, streams, run status."""

from __future__ import annotations

from attrs import define, field

from pgqmodel.judge import Verdict
from pgqmodel.model.facts import Fact
from pgqmodel.promises import ANOMALIES

__all__ = ["Proof", "Proofs"]


@define
class Proof:
    """The number of tests of one promise beside the history, and its first violation."""

    exercised: int = 0
    violations: int = 0
    anomaly: str | None = None
    facts: tuple[Fact, ...] = ()


@define
class Proofs:
    """The proofs beside the history, by promise."""

    of: dict[str, Proof] = field(factory=dict)

    def exercise(self, promise: str, times: int = 1) -> None:
        """Count tests of a promise; it was kept unless `breach` is called."""
        self.of.setdefault(promise, Proof()).exercised += times

    def breach(self, anomaly: str, *facts: Fact) -> None:
        """Count a violation; the facts of the first one are kept."""
        proof = self.of.setdefault(ANOMALIES[anomaly], Proof())
        proof.violations += 1
        if proof.anomaly is None:
            proof.anomaly, proof.facts = anomaly, facts

    def verdict(self, promise: str) -> Verdict:
        """The verdict on a promise."""
        proof = self.of.get(promise, Proof())
        return Verdict.of(
            promise,
            exercised=proof.exercised,
            violations=proof.violations,
            anomaly=proof.anomaly,
            facts=proof.facts,
        )
