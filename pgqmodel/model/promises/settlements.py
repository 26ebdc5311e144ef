"""`fenced-settlement` and `fenced-heartbeat`: what a former holder does late is refused and changes nothing."""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call, Change
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import tell_call, tell_claims, tell_former
from pgqmodel.operations import SETTLEMENTS, Meaning, State, Status

__all__ = ["RULES", "is_rightful"]

_PENDING = State.PENDING
_OK = Status.OK
_CASCADED, _CONJURED, _FORCED, _REMOVED = Meaning.CASCADED, Meaning.CONJURED, Meaning.FORCED, Meaning.REMOVED

_NOT_ITS_OWN = frozenset({Meaning.LOST, Meaning.REVIVED, Meaning.FORCED})


def is_rightful(state: ModelState, change: Change) -> bool:
    """Whether a settlement's change of a job is its current holder's, or goes on with what this very call began."""
    call, claim = change.call, change.claim
    if call is None:
        return False
    if claim is not None:
        return claim.call == call.claim
    former = state.claim_of(call)
    last: list[Any] = [*state.claims.get(change.job, ())] or [None]
    return former is not None and former.settled_by == call.number and last[-1] is former


def _settled(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A settlement changed a job that is not its claim's."""
    call = change.call
    if call is None or call.operation not in SETTLEMENTS or is_rightful(state, change):
        return None
    if change.job == call.job:
        if change.meaning in {_CASCADED, _REMOVED, _CONJURED}:
            return None
        return _stale(state, call, change.told(state.step))
    if change.meaning in _NOT_ITS_OWN and change.before is not None and change.before.state is not _PENDING:
        other = tell_claims(state, change.job)
        told = f"Yet {change.told(state.step)}, and {change.job} is not the job that it was about."
        return broken(state, "stale-settlement", change.job, tell_former(state, call), other, told)
    return None


def _accepted(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A settlement was accepted and its claim was not current; once more by whom it was settled is no harm."""
    if call.operation not in SETTLEMENTS or call.status is not _OK or call.committed_step is None:
        return None
    claim = state.claim_of(call)
    went_on = claim is not None and claim.settled_by == call.number
    if call.current_at_commit or went_on or call.settled_at_commit or state.has_settled(call):
        return None
    return _stale(state, call, tell_call(call, verb="was accepted"))


def _stale(state: ModelState, call: Call, told: str) -> Broken:
    return broken(state, "stale-settlement", call.job, tell_former(state, call), f"Yet {told}.")


def _beat(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A heartbeat was accepted and its claim was not current."""
    if call.operation != "heartbeat" or call.status is not _OK or call.committed_step is None:
        return None
    if call.current_at_commit:
        return None
    return _zombie(state, call, tell_call(call, verb="was accepted"))


def _revived(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A former holder's heartbeat changed its job's state."""
    call = change.call
    if call is None or call.operation != "heartbeat" or change.meaning is not _FORCED:
        return None
    return None if state.is_current(call) else _zombie(state, call, change.told(state.step))


def _zombie(state: ModelState, call: Call, told: str) -> Broken:
    return broken(state, "zombie-heartbeat", call.job, tell_former(state, call), f"Yet {told}.")


RULES = (
    Rule("fenced-settlement", Hook.CHANGED, _settled),
    Rule("fenced-settlement", Hook.RETURNED, _accepted),
    Rule("fenced-heartbeat", Hook.CHANGED, _revived),
    Rule("fenced-heartbeat", Hook.RETURNED, _beat),
)
