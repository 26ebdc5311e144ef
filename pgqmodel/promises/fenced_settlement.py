"""`fenced-settlement`: a settlement takes effect only for the current claim; a former holder's changes nothing."""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call, Change
from pgqmodel.model.facts import Fact, Yet
from pgqmodel.model.gathering import answered, former_claims, last_claims
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, CLAIMS, SETTLEMENTS, UNHELD, Meaning, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Memory, Precedence, Promise, Rule, Trial
from pgqmodel.promises.reasons import ChangedAnother

__all__ = ["PROMISE"]

_HARMLESS = frozenset({Meaning.CASCADED, Meaning.REMOVED, Meaning.CONJURED})
"""The changes that a settlement may make although its claim is over; other promises judge them."""
_NOT_ITS_OWN = frozenset({Meaning.LOST, Meaning.REVIVED, Meaning.FORCED})
_CHANGES = frozenset(Meaning) - CLAIMS - {Meaning.ADDED, Meaning.UNDONE, Meaning.RECLAIMED}


def _settled(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A settlement changed a job that is not its claim's."""
    call = change.call
    if call is None or call.operation not in SETTLEMENTS or state.is_rightful(change):
        return None
    if change.job == call.job:
        return None if change.meaning in _HARMLESS else _stale(state, call, change.seen(state.step))
    if change.meaning in _NOT_ITS_OWN and change.before is not None and change.before.state not in UNHELD:
        other = last_claims(state, change.job)
        yet = Yet(ChangedAnother(change.seen(state.step)))
        return PROMISE.broken(state, change.job, former_claims(state, call), other, yet)
    return None


def _accepted(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A settlement was accepted and its claim was not current. Repeating one's own settlement is allowed."""
    if call.status is not Status.OK or call.committed_step is None:
        return None
    claim = state.claim_of(call)
    went_on = claim is not None and claim.settled_by == call.number
    if call.current_at_commit or went_on or PROMISE.fact(call) or state.has_settled(call):
        return None
    return _stale(state, call, answered(call))


def _stale(state: ModelState, call: Call, late: Fact) -> Broken:
    return PROMISE.broken(state, call.job, former_claims(state, call), Yet(late))


def _had_settled(state: ModelState, call: Call, known: Any) -> bool:
    """Whether its claim had settled the job at one of its commits, and no call had claimed the job since."""
    return bool(known) or state.has_settled(call)


def _took_effect(state: ModelState, change: Change, known: Any) -> bool:
    """Whether it has changed its job while its claim was current, although the job still looks as if it ran.

    So it does where a lock shows that a job runs, and a later statement of the settlement releases the lock.
    """
    settles = change.operation in SETTLEMENTS and change.call is not None and change.job == change.call.job
    return bool(known) or (settles and state.is_rightful(change))


def _was_late(state: ModelState, call: Call) -> bool:
    """A settlement was answered whose claim was over."""
    return call.status in ANSWERED and not call.current_at_commit


PROMISE: Promise = Promise(
    name="fenced-settlement",
    says="a settlement takes effect only for the current claim; a former holder's is refused and changes nothing",
    anomalies=("stale-settlement",),
    precedence=Precedence.OWNER,
    rules=(Rule(Hook.CHANGED, _settled, _CHANGES), Rule(Hook.RETURNED, _accepted, SETTLEMENTS)),
    trials=(Trial(Hook.RETURNED, _was_late, SETTLEMENTS),),
    memories=(
        Memory(Hook.COMMITTED, _had_settled, SETTLEMENTS),
        Memory(Hook.CHANGED, _took_effect, frozenset({Meaning.REWRITTEN})),
    ),
    inferred=True,
)
