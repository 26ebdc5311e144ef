"""Promises that are put to the test by a load itself, where no commit shows them: wake-ups, streams, run status."""

from __future__ import annotations

from attrs import define, field

from pgqmodel.judge import Verdict
from pgqmodel.model.facts import Fact
from pgqmodel.promises import ANOMALIES

__all__ = ["Proof", "Proofs"]


@define
class Proof:
    """How often one promise was put to the test beside the history, and how it was broken first."""

    exercised: int = 0
    violations: int = 0
    anomaly: str | None = None
    facts: tuple[Fact, ...] = ()


@define
class Proofs:
    """What was proven beside the history, by promise."""

    of: dict[str, Proof] = field(factory=dict)

    def exercise(self, promise: str, times: int = 1) -> None:
        """A promise was put to the test so many times, and kept unless `breach` says otherwise."""
        self.of.setdefault(promise, Proof()).exercised += times

    def breach(self, anomaly: str, *facts: Fact) -> None:
        """An anomaly was seen, as the facts show; the first one's are kept."""
        proof = self.of.setdefault(ANOMALIES[anomaly], Proof())
        proof.violations += 1
        if proof.anomaly is None:
            proof.anomaly, proof.facts = anomaly, facts

    def verdict(self, promise: str) -> Verdict:
        """What all that says of a promise."""
        proof = self.of.get(promise, Proof())
        return Verdict.of(
            promise,
            exercised=proof.exercised,
            violations=proof.violations,
            anomaly=proof.anomaly,
            facts=proof.facts,
        )
