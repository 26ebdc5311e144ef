"""The facts that only accepted answers show: which worker has a job, sends heartbeats, holds a deploy lock."""

from __future__ import annotations

from collections.abc import Callable

from pgqmodel.model.change import Call, Claim
from pgqmodel.model.claims import drop_claim, exchange, start_claim
from pgqmodel.model.facts import GaveBack, TransactionEnded, Unlocked
from pgqmodel.model.holds import Hold, HoldState, others
from pgqmodel.model.state import ModelState
from pgqmodel.operations import (
    CLAIM,
    FAIL,
    HEARTBEAT,
    LIVE,
    LOCK,
    OPERATIONS,
    RETRY,
    SETTLEMENTS,
    UNHELD,
    UNLOCK,
    Lease,
    Status,
)

__all__ = ["accept", "commit", "end_transaction", "let_go", "make_certain"]

_GIVING_BACK = OPERATIONS.those(
    lambda operation: operation.settles and any(move.after in UNHELD for move in operation.moves)
)


def make_certain(state: ModelState, call: Call, job: str) -> None:
    """A claim's answer says which of several claims in flight has taken a job."""
    claim = state.current.get(job)
    other = state.calls.get(claim.call) if claim is not None else None
    if claim is not None and other is not None:
        if claim.call != call.number and not claim.certain and job not in call.took:
            exchange(state, call, other, job)
            claim = state.current[job]
        claim.certain = claim.certain or claim.call == call.number
    for each in state.claims.get(job, ()):
        each.answered = each.answered or each.call == call.number


def accept(state: ModelState, call: Call) -> None:
    """A call was accepted."""
    effect = _EFFECTS.get(call.operation)
    if effect is not None:
        effect(state, call)


def _take(state: ModelState, call: Call) -> None:
    """A claim that was answered with a job has it, even if the row says otherwise."""
    for job in call.returned_jobs:
        known = state.jobs.get(job)
        if known is not None and known.state in LIVE and job not in call.took:
            start_claim(state, call, job)
            state.current[job].answered = True


def let_go(state: ModelState, call: Call) -> None:
    """A claim that was answered without a job that it took has given that job to no worker: who takes it robs nobody.

    So it is where a claim takes a job's session lock, sees that it must not have the job, and keeps the lock.
    """
    for job in call.took:
        claim = state.current.get(job)
        if claim is not None and claim.call == call.number and not claim.answered and call.status is not Status.UNKNOWN:
            claim.lapsed = True


def _beat(state: ModelState, call: Call) -> None:
    for claim in _held(state, call):
        if call.started_at is not None:
            claim.beat, claim.beat_step, claim.lapsed = max(claim.beat, call.started_at), state.step, False


def commit(state: ModelState, call: Call) -> None:
    """A call has committed: if it may give its job back, the job may be free from now on.

    This counts even if the answer is lost, and even if the queue's word for the job is the same before and after.
    """
    if call.operation in _GIVING_BACK:
        for claim in _held(state, call):
            claim.lapsed = claim.given_back = True


def _give_back(state: ModelState, call: Call) -> None:
    """A call that gives a job back ends the claim, even if the word for the job's state does not change."""
    for claim in _held(state, call):
        claim.settled_by = call.number
        gave = GaveBack(client=call.client, operation=call.operation, job=claim.job, step=state.step)
        drop_claim(state, claim, gave)


def _held(state: ModelState, call: Call) -> list[Claim]:
    """The current claims that a holder's call rests on."""
    claims = (state.current.get(job) for job in call.jobs)
    return [claim for claim in claims if claim is not None and claim.call == call.claim]


def end_transaction(state: ModelState, call: Call) -> None:
    """If an open transaction is the lease, a settlement ends it, with any answer and with an error, too."""
    if Lease.TRANSACTION not in state.leases or call.status is Status.UNKNOWN:
        return
    if call.operation in SETTLEMENTS or call.status is Status.ERROR:
        for claim in _held(state, call):
            over = TransactionEnded(client=call.client, operation=call.operation, step=state.step)
            drop_claim(state, claim, over)


def _lock(state: ModelState, call: Call) -> None:
    environment = state.environment(call)
    if environment is None:
        return
    rivals, former = others(state.holds.get(environment), call, state.instant)
    state.holds[environment] = Hold(
        environment=environment,
        client=call.client,
        job=call.job,
        claim=call.claim,
        step=state.step,
        state=HoldState.HELD if state.is_current(call) else HoldState.LAPSED,
        since=state.instant,
        rivals=rivals,
        former=former,
    )


def _unlock(state: ModelState, call: Call) -> None:
    hold = state.hold_of(call)
    if hold is not None and hold.client == call.client:
        hold.state, hold.released = HoldState.FREE, True
        hold.freed = Unlocked(client=call.client, step=state.step)
    elif hold is not None:
        hold.rivals, hold.former = hold.rivals - {call.client}, hold.former - {call.client}


_EFFECTS: dict[str, Callable[[ModelState, Call], None]] = {
    CLAIM.name: _take,
    HEARTBEAT.name: _beat,
    **dict.fromkeys((FAIL.name, RETRY.name), _give_back),
    LOCK.name: _lock,
    UNLOCK.name: _unlock,
}
