"""A broken promise, as evidence: which promise, in which way, by which call, and the sentences that show it."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Broken"]


@frozen(kw_only=True)
class Broken:
    """A broken promise and the evidence: sentences that name clients, jobs and steps.

    The culprit is `operations`, one or those in a cycle of waits, and the `claim` that the one call rests on. Where a
    promise broke because nothing happened, there is no culprit.
    """

    promise: str
    anomaly: str
    job: str | None
    step: int
    explanation: tuple[str, ...]
    operations: tuple[str, ...] = ()
    claim: int | None = None

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
