"""Gathers the facts of evidence from the model's state. Each fact is a copy. Nothing is judged or worded here.

The model goes on changing a claim, a call or a lock after a rule was asked about it. So a fact copies the few values
that its sentence needs, and is gathered only where a promise is broken: that is rare, and keeps judging fast.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

from pgqmodel.history import Job
from pgqmodel.model.change import Call, Claim
from pgqmodel.model.facts import (
    Answered,
    Claimed,
    ClaimsMade,
    Fact,
    Granted,
    JobSeen,
    JobsSeen,
    LeaseAge,
    LeaseUntil,
    Moment,
    NeverGranted,
    NoClaim,
    SessionAlive,
)
from pgqmodel.model.holds import Hold
from pgqmodel.model.state import ModelState
from pgqmodel.moments import seems_moment
from pgqmodel.operations import Lease

__all__ = [
    "answered",
    "claimed",
    "claims_made",
    "former_claims",
    "granted",
    "job_seen",
    "jobs_seen",
    "last_claims",
    "lease_left",
]

_LAST_MAX = 3
"""The number of claims of a job that evidence lists; it lists the last ones."""
_NUMBERS = (float, int)


def claimed(claim: Claim) -> Claimed:
    """A claim and its end."""
    return Claimed(client=claim.client, job=claim.job, step=claim.step, ended=claim.ended)


def claims_made(claims: Sequence[Claim]) -> ClaimsMade | None:
    """The last of these claims of one job; None if there are none."""
    return ClaimsMade(tuple(claimed(claim) for claim in claims[-_LAST_MAX:])) if claims else None


def last_claims(state: ModelState, job: str, since: Claim | None = None) -> ClaimsMade | None:
    """The last claims of a job from `since` on; without `since` only the last one."""
    claims = state.claims.get(job, [])
    start = claims.index(since) if since in claims else max(len(claims) - 1, 0)
    return claims_made(claims[start:])


def former_claims(state: ModelState, call: Call) -> ClaimsMade | NoClaim | None:
    """The claim that a holder's call rests on, and the claims after it."""
    claim = state.claim_of(call)
    if claim is None:
        return NoClaim(client=call.client, job=call.job)
    return last_claims(state, claim.job, claim)


def lease_left(state: ModelState, claim: Claim, at: float, kind: type[LeaseAge] = LeaseAge) -> Fact:
    """Why the lease of a claim had not lapsed at a time, by the queue's kinds of lease."""
    job = state.known(claim.job)
    if Lease.UNTIL in state.leases and job is not None and job.lease_until is not None:
        return LeaseUntil(until=Moment(job.lease_until, state.start))
    if Lease.HEARTBEAT not in state.leases:
        return SessionAlive(client=claim.client)
    return kind(beat_step=claim.beat_step, age=at - claim.beat, timeout=state.timeout_seconds)


def answered(call: Call) -> Answered:
    """An answered call; its step is the step of its commit, if it has one."""
    committed = call.committed_step
    return Answered(
        client=call.client,
        operation=call.operation,
        job=call.job,
        begun=call.step if committed not in {None, call.step} else None,
        step=committed if committed is not None else call.step,
        status=call.status,
    )


def job_seen(state: ModelState, job: Job) -> JobSeen:
    """A job as it is, with the columns that distinguish it from others."""
    columns = tuple((name, _value(state, name, value)) for name, value in job.order.items())
    return JobSeen(job=job.job, state=job.state, run=job.run, stage=job.stage, columns=columns)


def _value(state: ModelState, name: str, value: Any) -> Any:
    """The value of a column. A point in time is marked here, because only the model knows which columns hold one."""
    is_moment = name in state.moments and type(value) in _NUMBERS
    return Moment(value, state.start) if is_moment or seems_moment(value, state.start) else value


def jobs_seen(state: ModelState, jobs: Collection[Job], most: int = 4) -> JobsSeen:
    """Some jobs as they are: the first `most`, and the number of the others."""
    seen = tuple(job_seen(state, job) for job in islice(jobs, most))
    return JobsSeen(seen, more=len(jobs) - len(seen))


def granted(hold: Hold | None, environment: str) -> Granted | NeverGranted:
    """The last grant of an environment's deploy lock and its end; `NeverGranted` if there was none."""
    if hold is None:
        return NeverGranted(environment)
    return Granted(client=hold.client, environment=hold.environment, step=hold.step, freed=hold.freed)
