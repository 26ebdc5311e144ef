"""`claim-complete`: a claim answers "nothing" only if nothing is eligible and unlocked.

In an explored history the jobs that a claim could have taken are noted at each of its statements: none, if another
client may have had one locked. For a recorded one see `passing_over`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen

from pgqmodel.history import Job
from pgqmodel.model.change import Call
from pgqmodel.model.eligible import are_claims_open, eligible
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import jobs_seen
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, CLAIM, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.passing_over import PassingOver
from pgqmodel.promises.promise import Hook, Memory, Promise, Rule, Source, Trial, Watch
from pgqmodel.promises.reasons import FoundNothing, NothingElseOpen, PassedOver

__all__ = ["PROMISE"]

_CLAIM = frozenset({CLAIM.name})
_EXPLORED, _RECORDED = frozenset({Source.EXPLORED}), frozenset({Source.RECORDED})


@frozen
class _Seen:
    """The jobs that a claim's last statement could have taken; none if an earlier one could take none, None at first.

    `waited` says that the claim had to wait for a lock: then its snapshot is older than the state that we know.
    """

    jobs: Sequence[Job] | None = None
    waited: bool = False


def _could_take(state: ModelState, call: Call, known: _Seen | None) -> _Seen:
    """Remember what a statement could have taken: nothing, if another client may have had it locked."""
    known = known if known is not None else _Seen()
    if known.jobs is not None and not known.jobs:
        return known
    others = (other.may_lock for other in state.in_flight.values() if other is not call)
    busy = known.waited or are_claims_open(state) or any(others)
    return evolve(known, jobs=() if busy else eligible(state, call))


def _waited(state: ModelState, call: Call, known: _Seen | None) -> _Seen:
    """Remember that a claim had to wait."""
    return _Seen(jobs=known.jobs if known is not None else None, waited=True)


def _returned(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A claim found no job although one could be taken."""
    seen: _Seen | None = PROMISE.fact(call)
    passed_over = seen.jobs if seen is not None else None
    if call.status is not Status.EMPTY or not passed_over:
        return None
    passed = PassedOver(client=call.client, jobs=jobs_seen(state, passed_over))
    yet = Yet(FoundNothing(client=call.client, step=state.step))
    return PROMISE.broken(state, passed_over[0].job, passed, NothingElseOpen(), yet)


def _found_nothing(state: ModelState, call: Call) -> bool:
    """A claim was answered that took no job, or that ran beside other calls."""
    return call.status in ANSWERED and (call.overlapped or not call.took)


PROMISE: Promise = Promise(
    name="claim-complete",
    says='a claim answers "nothing" only if nothing is eligible and unlocked',
    anomalies=("false-empty",),
    rules=(Rule(Hook.RETURNED, _returned, _CLAIM, _EXPLORED),),
    trials=(Trial(Hook.RETURNED, _found_nothing, _CLAIM, _EXPLORED),),
    memories=(Memory(Hook.RAN, _could_take, _CLAIM, _EXPLORED), Memory(Hook.WAITED, _waited, _CLAIM, _EXPLORED)),
    watches=(Watch(PassingOver, _RECORDED, lambda watcher, value: watcher.hold_to_completeness(PROMISE)),),
    unasked=lambda outline: False,  # limits and pauses of a queue's own may keep a job from being claimed
)
