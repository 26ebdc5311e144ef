"""`attempts`: the attempt number equals the number of claims, and no job is claimed more often than it may be."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Observed
from pgqmodel.model.change import Change
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import tell_claim, tell_claims
from pgqmodel.operations import CLAIMS
from pgqmodel.phrases import often
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Promise, Rule, Trial

__all__ = ["MISCOUNT", "OVERRUN", "PROMISE"]

MISCOUNT, OVERRUN = "attempt-miscount", "attempt-overrun"


def _claimed(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A job was claimed once more than it may be."""
    most = state.attempts_max
    claims = state.claims.get(change.job, [])
    if most is None or change.call is None or len(claims) < most:
        return None
    told = " ".join(tell_claim(claim) for claim in claims[-3:])
    limit = f"That was claim {len(claims)} of {change.job}, and max_attempts is {most}."
    yet = f"Yet {change.told(state.step)}."
    return PROMISE.broken(state, change.job, told, limit, yet, anomaly=OVERRUN)


def _observed(state: ModelState, observed: Observed, value: Any) -> Broken | None:
    """The attempt number of a job that changed is not its number of claims."""
    for name, job in observed.jobs.items():
        claim = state.current.get(name)
        if job is None or job.attempt is None or (claim is not None and not claim.certain):
            continue
        claims = len(state.claims.get(name, ()))
        expected = state.first_attempt.get(name, 0) + claims
        if job.attempt != expected:
            told = f"{name} was claimed {often(claims)}, so its attempt number is {expected}."
            yet = f"Yet it shows {job.attempt} at step {state.step}, being {job.state.value}."
            return PROMISE.broken(state, name, tell_claims(state, name), told, yet, anomaly=MISCOUNT)
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
)
