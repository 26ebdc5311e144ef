"""`unique-key`: at most one live job has a given key; an accepted enqueue is neither dropped nor doubled."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Observed
from pgqmodel.model.change import Call
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import listed
from pgqmodel.operations import FINAL, LIVE, Status
from pgqmodel.promises.promise import Broken, Hook, Memory, Promise, Rule, Trial

__all__ = ["PROMISE"]

_ENQUEUE = frozenset({"enqueue"})


def _observed(state: ModelState, observed: Observed, value: Any) -> Broken | None:
    """Two live jobs have the same key."""
    for name, job in observed.jobs.items():
        if job is None or job.unique_key is None or job.state not in LIVE:
            continue
        same = state.keyed.get(job.unique_key, {})
        if len(same) > 1:
            jobs = listed(state.jobs[other] for other in same)
            told = f"At most one job with the key {job.unique_key!r} may be pending or running."
            return PROMISE.broken(state, name, told, f"Yet at step {state.step} there are {jobs}.")
    return None


def _doubled(state: ModelState, call: Call, value: Any) -> Broken | None:
    """One accepted enqueue added two jobs."""
    if call.status is not Status.OK or len(call.added) <= _meant(call):
        return None
    told = f"{call.client}'s enqueue of step {call.step} is one job."
    return PROMISE.broken(state, call.added[-1], told, f"Yet it added {' and '.join(call.added)}.")


def _meant(call: Call) -> int:
    """How many jobs an enqueue was to add: one, unless its arguments say `jobs`, as a number or a list of them."""
    jobs = call.arguments.get("jobs", 1)
    return len(jobs) if isinstance(jobs, list | tuple) else jobs if isinstance(jobs, int) else 1


def _dropped(state: ModelState, call: Call, value: Any) -> Broken | None:
    """An accepted enqueue was answered with a job that was finished before: nothing will run for it."""
    job = state.known(call.returned_job) if call.returned_job is not None else None
    if call.status is not Status.OK or call.added or PROMISE.fact(call) or job is None or job.state not in FINAL:
        return None
    told = f"{call.client}'s enqueue of step {call.step} was accepted, when no live job had its key."
    return PROMISE.broken(state, job.job, told, f"Yet it was given {job.job}, which was {job.state} already.")


def _met_key(state: ModelState, call: Call, known: Any) -> bool:
    """Whether a live job had the key that an enqueue brings when it looked."""
    key = call.arguments.get("unique_key")
    return key is not None and bool(state.keyed.get(key))


PROMISE = Promise(
    name="unique-key",
    says="at most one job with a given key is pending or running; an accepted enqueue is neither dropped nor doubled",
    anomalies=("duplicate-key",),
    columns=("jobs.unique_key",),
    rules=(
        Rule(Hook.OBSERVED, _observed),
        Rule(Hook.RETURNED, _doubled, _ENQUEUE),
        Rule(Hook.RETURNED, _dropped, _ENQUEUE),
    ),
    trials=(Trial(Hook.RETURNED, lambda state, call: bool(PROMISE.fact(call)), _ENQUEUE),),
    memories=(Memory(Hook.MET, _met_key, _ENQUEUE),),
)
