"""`exclusive-claim`: a job has at most one current claim at every instant.

A claim that takes a running job whose lease has lapsed is a reclaim and a claim in one, and takes nothing from anybody.
"""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call, Change, Claim
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import seconds, tell_claim
from pgqmodel.operations import ANSWERED, CLAIM, CLAIMS, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Precedence, Promise, Rule, Trial

__all__ = ["PROMISE"]

_CLAIM = frozenset({CLAIM.name})


def _changed(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A commit gave a job a claim while it had another."""
    call, claim = change.call, change.claim
    if call is None or claim is None or claim.call == call.number or not claim.certain:
        return None
    if state.has_lapsed(claim, call.ran_at):
        return None
    return _double(state, call, claim, f"Yet {call.client}'s claim took {change.job} at step {state.step}.")


def _answered(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A client was told that it has a job which somebody else holds."""
    job = call.returned_job
    if call.status is not Status.OK or job is None or job in call.took:
        return None
    claim = state.current.get(job)
    if claim is None or not claim.certain or state.has_lapsed(claim, call.ran_at):
        return None
    return _double(state, call, claim, f"Yet {call.client}'s claim was answered with {job} at step {state.step}.")


def _double(state: ModelState, call: Call, claim: Claim, yet: str) -> Broken:
    age = call.ran_at - claim.beat
    beats = f"last heartbeat, at step {claim.beat_step}," if claim.beat_step is not None else "claim"
    lease = f"Its {beats} was {seconds(age)} old, less than the timeout of {seconds(state.timeout_seconds)}."
    return PROMISE.broken(state, claim.job, tell_claim(claim), yet, lease)


def _beside_another(state: ModelState, call: Call) -> bool:
    """A claim was answered while somebody else claimed or held a job."""
    others = (claim.client != call.client for claim in state.current.values())
    return call.status in ANSWERED and (call.overlapped or any(others))


PROMISE: Promise = Promise(
    name="exclusive-claim",
    says="a job has at most one current claim at every instant",
    anomalies=("double-claim",),
    precedence=Precedence.OWNER,
    rules=(Rule(Hook.CHANGED, _changed, CLAIMS), Rule(Hook.RETURNED, _answered, _CLAIM)),
    trials=(Trial(Hook.RETURNED, _beside_another, _CLAIM),),
)
