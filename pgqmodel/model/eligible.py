"""Finds the jobs that a claim could have taken, and says when that can be known. Promises judge the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgqmodel.history import Job
from pgqmodel.model.change import Call
from pgqmodel.model.state import TOLERANCE_SECONDS, ModelState
from pgqmodel.operations import Lease

__all__ = ["Order", "are_claims_open", "best", "can_judge", "column", "eligible", "is_better", "saturated"]

Order = Sequence[tuple[str, str]]


def can_judge(state: ModelState, call: Call) -> bool:
    """Whether the claim's view is known: no other transaction was open, and nothing was committed meanwhile."""
    return call.ran and not call.disturbed and call.ran_version == state.version


def are_claims_open(state: ModelState) -> bool:
    """Whether claims that are answered have their transactions open: their jobs are locked and do not show it."""
    return Lease.TRANSACTION in state.leases and bool(state.current)


def eligible(state: ModelState, call: Call, *, staged: bool = True, taken: Job | None = None) -> list[Job]:
    """The jobs that a claim could have taken; if `staged` is False, also jobs of stages that are not open yet.

    Exactly when a job becomes due, a queue may let a claim take it (`<=`) or not (`<`). So at that instant the job
    counts only if the claim took such a job (`taken`). Jobs that the same commit took do not count as left.
    """
    full = saturated(state)
    began = call.started_at if call.started_at is not None else state.now
    takes_at_once = taken is not None and taken.eligible_at is not None and _is_due(taken.eligible_at, began)
    due = began + TOLERANCE_SECONDS if takes_at_once else began - TOLERANCE_SECONDS
    return [
        job
        for job in state.pending.values()
        if (job.job not in state.taking or (taken is not None and job.job == taken.job))
        and (job.eligible_at is None or job.eligible_at < due)
        and _is_ready(state, job, full, staged=staged)
    ]


def _is_due(eligible_at: float, now: float) -> bool:
    """Whether a job becomes due exactly now."""
    return abs(eligible_at - now) <= TOLERANCE_SECONDS


def _is_ready(state: ModelState, job: Job, full: set[Any], *, staged: bool) -> bool:
    if state.attempts_max is not None and len(state.claims.get(job.job, ())) >= state.attempts_max:
        return False
    if full and state.limit is not None and column(job, state.limit.column) in full:
        return False
    return not staged or not state.is_gated(job)


def saturated(state: ModelState) -> set[Any]:
    """The values of the limit's column that have reached the limit of running jobs."""
    if state.limit is None:
        return set()
    most = state.limit.limit
    return {value for value, jobs in state.limited.items() if value is not None and len(jobs) >= most}


def column(job: Job, name: str) -> Any:
    """The value of a column that a promise names."""
    return job.order[name] if name in job.order else getattr(job, name, None)


def is_better(one: Job, other: Job, order: Order) -> bool:
    """Whether `one` comes strictly before `other`; NULLs come last ascending and first descending, as in Postgres."""
    for name, direction in order:
        left, right = column(one, name), column(other, name)
        if left == right:
            continue
        if left is None or right is None:
            return (left is None) == (direction == "desc")
        return bool(left < right) == (direction == "asc")
    return False


def best(jobs: Sequence[Job], order: Order) -> Job:
    """The job that comes first in an order."""
    first = jobs[0]
    for job in jobs[1:]:
        if is_better(job, first, order):
            first = job
    return first
