"""What a promise's judgement looks like: when it is asked, what it answers. The judgements are in `promises`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from attrs import frozen

from pgqmodel.model.state import ModelState
from pgqmodel.promises import ANOMALIES

__all__ = ["Broken", "Hook", "Rule", "broken"]


@frozen(kw_only=True)
class Broken:
    """A broken promise and the evidence: sentences that name clients, jobs and steps.

    The culprit is `operations`, one or those in a cycle of waits, and the `claim` that the one call rests on. Nobody's
    operation is a culprit where a promise broke because nothing happened.
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


class Hook(StrEnum):
    """When a rule is asked, and what about. The state is the one before the event, but for OBSERVED."""

    CHANGED = "a job changed"
    """A `Change`, before the state takes it over."""
    OBSERVED = "an observation is taken over"
    """An `Observed` that shows jobs or runs, after the state has taken it over."""
    RETURNED = "a call is over"
    """A `Call` with its status."""
    BLOCKED = "a call waits"
    """A `Blocked`."""
    DEADLOCKED = "a deadlock was broken"
    """A `Deadlocked`."""
    DRAINED = "a drain is over"
    """A `Draining`."""


@frozen
class Rule:
    """One judgement of one promise: `judge(state, subject, value)`; `value` is what the target says of it."""

    promise: str
    hook: Hook
    judge: Callable[[ModelState, Any, Any], Broken | None]


def broken(state: ModelState, anomaly: str, job: str | None, *sentences: str) -> Broken:
    """The promise that `anomaly` breaks is broken now."""
    explanation = tuple(sentence for sentence in sentences if sentence)
    return Broken(promise=ANOMALIES[anomaly], anomaly=anomaly, job=job, step=state.step, explanation=explanation)
