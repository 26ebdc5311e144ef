"""`recovery` and `poison-isolated`: once faults stop and time moves on, every job comes to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pgqmodel.history import Draining, Job
from pgqmodel.horizon import is_beyond
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import listed, seconds, tell_claim, tell_claims, tell_job
from pgqmodel.operations import LIVE, State
from pgqmodel.phrases import often

__all__ = ["RULES"]


def _unfinished(state: ModelState, poison: str | None) -> Iterator[Job]:
    """The jobs that are live after the drain and whose end the poison job does not decide.

    One that waits for a time beyond the horizon is none: nobody lived to see it.
    """
    bad = state.known(poison) if poison is not None else None
    for job in state.jobs.values():
        late = job.state is State.PENDING and is_beyond(job.eligible_at, state.now)
        if job.state in LIVE and job.job != poison and not late and not _waits_for(job, bad):
            yield job


def _waits_for(job: Job, bad: Job | None) -> bool:
    """Whether a job is of a later stage of the poison job's run."""
    if bad is None or bad.run is None or bad.run != job.run or bad.stage is None or job.stage is None:
        return False
    return bad.stage < job.stage


def _stuck(state: ModelState, event: Draining, value: Any) -> Broken | None:
    """A job is neither final nor on its way to it."""
    job = next(_unfinished(state, event.poison), None)
    if job is None:
        return _late(state)
    over = "Faults stopped, every client was connected, leases lapsed and everybody had a turn until nothing moved."
    return broken(state, "stuck-job", job.job, over, f"Yet {tell_job(state, job)} is not final.", *_plight(state, job))


def _late(state: ModelState) -> Broken | None:
    """A job came to its end, and not before its lease had lasted for much too long."""
    overdue = next(iter(state.lateness.found.values()), None)
    if overdue is None:
        return None
    claim, job = overdue.claim, overdue.claim.job
    quiet = (
        f"{claim.client}'s session had ended, and nobody did anything for {seconds(overdue.quiet_seconds)}: "
        f"the timeout is {seconds(state.timeout_seconds)}."
    )
    yet = f"Yet {overdue.call.client}'s reclaim left it at step {overdue.step}: {job} was still running."
    return broken(state, "stuck-job", job, tell_claim(claim), quiet, yet)


def _plight(state: ModelState, job: Job) -> Iterator[str]:
    """What is known of the reason."""
    if job.job in state.claims:
        yield tell_claims(state, job.job)
    missing = state.missing_before(job)
    if job.state is State.PENDING and missing:
        yield f"It waits for {listed(state, missing)}."
    claims = len(state.claims.get(job.job, ()))
    if job.state is State.PENDING and state.attempts_max is not None and claims >= state.attempts_max:
        yield f"It was claimed {often(claims)}, which is all that max_attempts allows."


def _blocked(state: ModelState, event: Draining, value: Any) -> Broken | None:
    """A job that could have run did not, while the one that always fails ran again and again."""
    if event.poison is None or state.drain is None:
        return None
    tries = [claim for claim in state.claims.get(event.poison, ()) if claim.instant > state.drain_instant]
    waiting = [
        job
        for job in _unfinished(state, event.poison)
        if job.state is State.PENDING and not state.missing_before(job) and not _is_spent(state, job)
    ]
    if not tries or not waiting:
        return None
    since = f"since the drain began at step {tries[0].step}"
    told = f"{event.poison} always fails; it was claimed {often(len(tries))} {since}."
    return broken(state, "poison-block", waiting[0].job, told, f"Yet {listed(state, waiting)} had no turn.")


def _is_spent(state: ModelState, job: Job) -> bool:
    return state.attempts_max is not None and len(state.claims.get(job.job, ())) >= state.attempts_max


RULES = (Rule("poison-isolated", Hook.DRAINED, _blocked), Rule("recovery", Hook.DRAINED, _stuck))
