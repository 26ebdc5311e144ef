"""`attempts`: the attempt number equals the number of claims, and no job is claimed more often than it may be."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Observed
from pgqmodel.model.change import Change
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import claims_made, last_claims
from pgqmodel.model.state import ModelState
from pgqmodel.operations import CLAIMS
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Promise, Rule, Trial
from pgqmodel.promises.reasons import AttemptDue, AttemptShown, OverMaximum

__all__ = ["MISCOUNT", "OVERRUN", "PROMISE"]

MISCOUNT, OVERRUN = "attempt-miscount", "attempt-overrun"


def _claimed(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A job was claimed once more than it may be."""
    most = state.attempts_max
    claims = state.claims.get(change.job, [])
    if most is None or change.call is None or len(claims) < most:
        return None
    limit = OverMaximum(job=change.job, number=len(claims), most=most)
    yet = Yet(change.seen(state.step))
    return PROMISE.broken(state, change.job, claims_made(claims), limit, yet, anomaly=OVERRUN)


def _observed(state: ModelState, observed: Observed, value: Any) -> Broken | None:
    """The attempt number of a job that changed is not its number of claims."""
    for name, job in observed.jobs.items():
        claim = state.current.get(name)
        if job is None or job.attempt is None or (claim is not None and not claim.certain):
            continue
        claims = len(state.claims.get(name, ()))
        expected = state.first_attempt.get(name, 0) + claims
        if job.attempt != expected:
            due = AttemptDue(job=name, claims=claims, attempt=expected)
            yet = Yet(AttemptShown(job=name, attempt=job.attempt, state=job.state, step=state.step))
            return PROMISE.broken(state, name, last_claims(state, name), due, yet, anomaly=MISCOUNT)
    return None


def _again(state: ModelState, change: Change) -> bool:
    """A job was claimed that had been claimed before."""
    return change.job in state.claims


PROMISE: Promise = Promise(
    name="attempts",
    says="the attempt number equals the number of claims; after max_attempts the job fails for good",
    anomalies=(MISCOUNT, OVERRUN),
    columns=("jobs.attempt",),
    rules=(Rule(Hook.CHANGED, _claimed, CLAIMS), Rule(Hook.OBSERVED, _observed)),
    trials=(Trial(Hook.CHANGED, _again, CLAIMS),),
    inferred=True,
)
