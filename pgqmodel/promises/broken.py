"""A broken promise, as evidence: which promise, in which way, by which call, and the facts that show it."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from pgqmodel.model.facts import Fact

__all__ = ["Broken"]


@frozen(kw_only=True)
class Broken:
    """A broken promise and the evidence: facts that name clients, jobs and steps. `report.evidence` tells them.

    The culprit is `operations`, one or those in a cycle of waits, and the `claim` that the one call rests on. Where a
    promise broke because nothing happened, there is no culprit.
    """

    promise: str
    anomaly: str
    job: str | None
    step: int
    facts: tuple[Fact, ...]
    operations: tuple[str, ...] = ()
    claim: int | None = None

    @classmethod
    def beside(cls, promise: str, anomaly: str, facts: Iterable[Fact], job: str | None = None) -> Broken:
        """A violation that was seen beside the history, so it has no step."""
        return cls(promise=promise, anomaly=anomaly, job=job, step=0, facts=tuple(facts))

    @property
    def cause(self) -> tuple[str, tuple[str, ...]]:
        """The promise and the operations that broke it. One finding is kept for each cause."""
        return self.promise, self.operations

    @property
    def told_by(self) -> str:
        """The anomaly and its operations in words."""
        return self.anomaly + (f" by {' and '.join(self.operations)}" if self.operations else "")

    def has_cause_of(self, other: Broken) -> bool:
        """Whether this is the same promise broken the same way by the same culprit, up to the names of job and claim.

        A deadlock may have lost some of the operations in its cycle, but no other one may have come in.
        """
        mine, others = set(self.operations), set(other.operations)
        return (
            (self.promise, self.anomaly) == (other.promise, other.anomaly)
            and (mine <= others and bool(mine) == bool(others))
            and (self.job is None) == (other.job is None)
            and (self.claim is None) == (other.claim is None)
        )
