"""`exclusive-claim`: a job has at most one current claim at every instant."""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call, Change, Claim
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import seconds, tell_claim
from pgqmodel.operations import Meaning, Status

__all__ = ["RULES", "takes_over"]

_OK = Status.OK
_CLAIMS = frozenset({Meaning.CLAIMED, Meaning.TAKEN})


def takes_over(state: ModelState, call: Call, claim: Claim) -> bool:
    """Whether `call` may take the job from `claim`: its lease has lapsed, so this is a reclaim and a claim in one."""
    return state.has_lapsed(claim, call.ran_at)


def _change(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A commit gave a job a claim while it had another."""
    call, claim = change.call, change.claim
    if change.meaning not in _CLAIMS or call is None or claim is None:
        return None
    if claim.call == call.number or not claim.certain or takes_over(state, call, claim):
        return None
    return _double(state, call, claim, f"Yet {call.client}'s claim took {change.job} at step {state.step}.")


def _answer(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A client was told that it has a job which somebody else holds."""
    job = call.returned_job
    if call.operation != "claim" or call.status is not _OK or job is None or job in call.took:
        return None
    claim = state.current.get(job)
    if claim is None or not claim.certain or takes_over(state, call, claim):
        return None
    return _double(state, call, claim, f"Yet {call.client}'s claim was answered with {job} at step {state.step}.")


def _double(state: ModelState, call: Call, claim: Claim, yet: str) -> Broken:
    age = call.ran_at - claim.beat
    beats = f"last heartbeat, at step {claim.beat_step}," if claim.beat_step is not None else "claim"
    lease = f"Its {beats} was {seconds(age)} old, less than the timeout of {seconds(state.timeout_seconds)}."
    return broken(state, "double-claim", claim.job, tell_claim(claim), yet, lease)


RULES = (Rule("exclusive-claim", Hook.CHANGED, _change), Rule("exclusive-claim", Hook.RETURNED, _answer))
