"""`fenced-deploy`: a deploy's effect is accepted only from the current holder of its environment's lock."""

from __future__ import annotations

from typing import Any

from pgqmodel.model.change import Call
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import answered, former_claims, granted
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, DEPLOY, LOCK, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Memory, Promise, Rule, Trial

__all__ = ["PROMISE"]

_DEPLOY = frozenset({DEPLOY.name})


def _deployed(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A deploy was accepted from a client that did not hold the lock when it committed."""
    environment = state.environment(call)
    if call.status is not Status.OK or call.committed_step is None or PROMISE.fact(call) or environment is None:
        return None
    grant = granted(state.hold_of(call), environment)
    return PROMISE.broken(state, call.job, former_claims(state, call), grant, Yet(answered(call)))


def _held_the_lock(state: ModelState, call: Call, known: Any) -> bool:
    """Whether a deploy's client may have held the lock when the deploy committed."""
    return state.may_deploy(call)


def _had_no_right(state: ModelState, call: Call) -> bool:
    """A deploy was answered, and its client held no lock or its claim was over."""
    return call.status in ANSWERED and not (PROMISE.fact(call) and call.current_at_commit)


PROMISE: Promise = Promise(
    name="fenced-deploy",
    says="a deploy's effect on its environment is accepted only from the current holder of that environment's lock",
    anomalies=("stale-deploy",),
    operations=(LOCK.name, DEPLOY.name),
    rules=(Rule(Hook.RETURNED, _deployed, _DEPLOY),),
    trials=(Trial(Hook.RETURNED, _had_no_right, _DEPLOY),),
    memories=(Memory(Hook.COMMITTED, _held_the_lock, _DEPLOY),),
)
