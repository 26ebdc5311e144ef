"""`exclusive-claim`: a job has at most one current claim at every instant.

A claim may take a running job if its lease has lapsed: that is a reclaim and a claim in one, and no holder loses a job.
If jobs are delivered at most once, no worker gets a job that another worker has got and has not given back.

Two programs that run the body of one job at once break it as well, whatever the rows say.
"""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Working
from pgqmodel.model.change import Body, Call, Change, Claim
from pgqmodel.model.facts import Fact, GivenJob, Yet
from pgqmodel.model.gathering import claimed, lease_left
from pgqmodel.model.state import TOLERANCE_SECONDS, ModelState
from pgqmodel.operations import ANSWERED, CLAIM, CLAIMS, Meaning, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Memory, Precedence, Promise, Rule, Trial
from pgqmodel.promises.reasons import AtWork, LeaseAlive, OnceAtMost, Took

__all__ = ["PROMISE"]

_CLAIM = frozenset({CLAIM.name})


def _changed(state: ModelState, change: Change, value: Any) -> Broken | None:
    """A commit gave a job a claim while it had another."""
    call, claim = change.call, change.claim
    if call is None or claim is None or claim.call == call.number or not claim.certain:
        return None
    if state.has_lapsed(claim, call.ran_at):
        return None
    return _double(state, call, claim, Took(client=call.client, job=change.job, step=state.step))


def _answered(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A claim was answered with a job that another client holds."""
    if call.status is not Status.OK:
        return None
    ends = PROMISE.fact(call) or {}
    for job in call.returned_jobs:
        claim = state.current.get(job) if job not in call.took else None
        if claim is None or not claim.certain or state.has_lapsed(claim, call.ran_at):
            continue
        if job not in ends or call.ran_at < ends[job] - TOLERANCE_SECONDS:
            return _double(state, call, claim, GivenJob(client=call.client, job=job, step=state.step))
    return None


def _ends_before(state: ModelState, change: Change, known: Any) -> dict[str, float]:
    """For the jobs whose end of the lease a claim has written anew: the end that the row showed before.

    If the claim commits after its own lease is over, the job looks as free as it did before, and nothing but its answer
    says that it took the job.
    """
    before = change.before.lease_until if change.before is not None else None
    is_new = change.operation == CLAIM.name and before is not None
    return (known or {}) | ({change.job: before} if is_new else {})


def _run_again(state: ModelState, call: Call, value: Any) -> Broken | None:
    """A claim was answered with a job that may be run once at most, and that somebody was given before."""
    if not state.at_most_once or call.status is not Status.OK:
        return None
    for job in call.returned_jobs:
        for claim in state.claims.get(job, ()):
            if claim.call != call.number and claim.answered and not claim.given_back:
                again = Yet(GivenJob(client=call.client, job=job, step=state.step))
                return PROMISE.broken(state, job, claimed(claim), OnceAtMost(job), again)
    return None


def _at_work_twice(state: ModelState, event: Working, value: Any) -> Broken | None:
    """A program began to run a job that another one still runs by right."""
    claim = state.current.get(event.job)
    for body in state.bodies.values():
        if body.job == event.job and body.line != event.line and _is_rightful(state, body, claim):
            first = AtWork(client=body.client, job=body.job, step=body.step)
            again = Yet(AtWork(client=event.client, job=event.job, step=state.step))
            lease = lease_left(state, claim, state.now, LeaseAlive) if claim is not None else None
            return PROMISE.broken(state, event.job, first, again, lease)
    return None


def _is_rightful(state: ModelState, body: Body, claim: Claim | None) -> bool:
    """Whether a body runs by a claim whose lease is alive.

    Some queues show no claim before the job is done: a lock or an open transaction keeps others away. There the body's
    begin stands for the claim, as long as none of its program's connections has ended.
    """
    if claim is not None:
        own = body.client == claim.client and claim.step <= body.step
        return own and claim.certain and not state.has_lapsed(claim, state.now)
    unseen = not state.claims.get(body.job) and not body.cut
    return unseen and state.now - body.at < state.timeout_seconds - TOLERANCE_SECONDS


def _double(state: ModelState, call: Call, claim: Claim, second: Fact) -> Broken:
    lease = lease_left(state, claim, call.ran_at, LeaseAlive)
    return PROMISE.broken(state, claim.job, claimed(claim), Yet(second), lease)


def _beside_another(state: ModelState, call: Call) -> bool:
    """A claim was answered while another client claimed or held a job."""
    others = (claim.client != call.client for claim in state.current.values())
    return call.status in ANSWERED and (call.overlapped or any(others))


PROMISE: Promise = Promise(
    name="exclusive-claim",
    says="a job has at most one current claim at every instant",
    anomalies=("double-claim",),
    precedence=Precedence.OWNER,
    rules=(
        Rule(Hook.CHANGED, _changed, CLAIMS),
        Rule(Hook.RETURNED, _answered, _CLAIM),
        Rule(Hook.RETURNED, _run_again, _CLAIM),
        Rule(Hook.WORKING, _at_work_twice),
    ),
    trials=(
        Trial(Hook.RETURNED, _beside_another, _CLAIM),
        Trial(Hook.WORKING, lambda state, event: bool(state.bodies)),
    ),
    memories=(Memory(Hook.CHANGED, _ends_before, frozenset({Meaning.REWRITTEN})),),
    unasked=lambda outline: outline.says_lease,  # a claim that takes a lapsed job robs nobody
    inferred=True,
)
