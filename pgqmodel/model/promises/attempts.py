"""`attempts`: the attempt number equals the number of claims, and no job is claimed more often than it may be."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Observed
from pgqmodel.model.change import Change
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import tell_claim, tell_claims
from pgqmodel.operations import Meaning
from pgqmodel.phrases import often

__all__ = ["RULES"]

_CLAIMS = frozenset({Meaning.CLAIMED, Meaning.TAKEN})


def _claimed(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A job was claimed once more than it may be."""
    most = state.attempts_max
    if most is None or change.meaning not in _CLAIMS or change.call is None:
        return None
    claims = state.claims.get(change.job, [])
    if len(claims) < most:
        return None
    told = " ".join(tell_claim(claim) for claim in claims[-3:])
    limit = f"That was claim {len(claims)} of {change.job}, and max_attempts is {most}."
    return broken(state, "attempt-overrun", change.job, told, limit, f"Yet {change.told(state.step)}.")


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
            return broken(state, "attempt-miscount", name, tell_claims(state, name), told, yet)
    return None


RULES = (Rule("attempts", Hook.CHANGED, _claimed), Rule("attempts", Hook.OBSERVED, _observed))
