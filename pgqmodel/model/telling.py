"""The sentences of which explanations are made: what is known of a claim, a call, a job, a lock. No judgement here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pgqmodel.history import Job
from pgqmodel.model.change import Call, Claim
from pgqmodel.model.holds import Hold
from pgqmodel.model.state import ModelState
from pgqmodel.moments import seems_moment, tell_moment

__all__ = [
    "ALONE",
    "listed",
    "seconds",
    "tell_call",
    "tell_claim",
    "tell_claims",
    "tell_former",
    "tell_grant",
    "tell_hold",
    "tell_job",
]

ALONE = "No other transaction was open."

_NUMBERS = (float, int)


def tell_claim(claim: Claim) -> str:
    """In words: "A claimed J1 at step 2 and has not settled it."."""
    began = f"{claim.client} claimed {claim.job} at step {claim.step}"
    return f"{began}; {claim.ended}." if claim.ended else f"{began} and has not settled it."


def tell_claims(state: ModelState, job: str, since: Claim | None = None) -> str:
    """The last claims of a job, from `since` on, at most three."""
    claims = state.claims.get(job, [])
    start = claims.index(since) if since in claims else max(len(claims) - 1, 0)
    return " ".join(tell_claim(claim) for claim in claims[max(start, len(claims) - 3) :])


def tell_former(state: ModelState, call: Call) -> str:
    """The claim that a holder's call rests on, and what came after it."""
    claim = state.claim_of(call)
    job = call.job or "the job"
    return tell_claims(state, job, claim) if claim is not None else f"{call.client} has no claim of {job}."


def tell_call(call: Call, *, verb: str) -> str:
    """In words: "A's complete of J1 was accepted at step 6"."""
    about = f" of {call.job}" if call.job is not None else ""
    began = f" (begun at step {call.step})" if call.committed_step not in {None, call.step} else ""
    step = call.committed_step if call.committed_step is not None else call.step
    return f"{call.client}'s {call.operation}{about}{began} {verb} at step {step}"


def tell_job(state: ModelState, job: Job) -> str:
    """A job with what distinguishes it: "J2 (pending, stage 2 of run r1)", "J3 (pending, run_at 31 s)"."""
    words = [job.state.value]
    if job.run is not None and job.stage is not None:
        words.append(f"stage {job.stage} of run {job.run}")
    words.extend(f"{name} {_tell_value(state, name, value)}" for name, value in job.order.items())
    return f"{job.job} ({', '.join(words)})"


def _tell_value(state: ModelState, name: str, value: Any) -> str:
    """What a column holds; a moment since the story's start."""
    is_moment = name in state.moments and type(value) in _NUMBERS
    return tell_moment(value, state.start) if is_moment or seems_moment(value, state.start) else str(value)


def tell_hold(hold: Hold) -> str:
    """The last grant of a deploy lock and how it ended."""
    began = f"{hold.client} was granted the lock of {hold.environment} at step {hold.step}"
    return f"{began}; {hold.freed}." if hold.freed else f"{began} and still holds it."


def tell_grant(hold: Hold | None, environment: str) -> str:
    """The last grant of an environment's deploy lock, if there was one."""
    return tell_hold(hold) if hold is not None else f"Nobody was ever granted the lock of {environment}."


def listed(state: ModelState, jobs: Iterable[Job], most: int = 4) -> str:
    """Some jobs in words."""
    names = [tell_job(state, job) for job in jobs]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def seconds(value: float) -> str:
    """A duration: "31 s"."""
    return f"{round(value, 3):g} s"
