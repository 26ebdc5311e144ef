"""`unique-key` and `live-limit`: how many jobs of one key there may be at an instant."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Observed
from pgqmodel.model.change import Call
from pgqmodel.model.eligible import column
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import Limit, ModelState
from pgqmodel.model.telling import listed, tell_claim
from pgqmodel.operations import FINAL, LIVE, State, Status
from pgqmodel.phrases import counted

__all__ = ["RULES"]

_RUNNING = State.RUNNING
_OK = Status.OK


def _keys(state: ModelState, observed: Observed, value: Any) -> Broken | None:
    """Two live jobs have the same key."""
    for name, job in observed.jobs.items():
        if job is None or job.unique_key is None or job.state not in LIVE:
            continue
        same = state.keyed.get(job.unique_key, {})
        if len(same) > 1:
            jobs = listed(state, (state.jobs[other] for other in same))
            told = f"At most one job with the key {job.unique_key!r} may be pending or running."
            return broken(state, "duplicate-key", name, told, f"Yet at step {state.step} there are {jobs}.")
    return None


def _added(state: ModelState, call: Call, value: Any) -> Broken | None:
    """One accepted enqueue added two jobs."""
    if call.operation != "enqueue" or call.status is not _OK or len(call.added) <= _meant(call):
        return None
    told = f"{call.client}'s enqueue of step {call.step} is one job."
    return broken(state, "duplicate-key", call.added[-1], told, f"Yet it added {' and '.join(call.added)}.")


def _meant(call: Call) -> int:
    """How many jobs an enqueue was to add: one, unless its arguments say `jobs`, as a number or a list of them."""
    jobs = call.arguments.get("jobs", 1)
    return len(jobs) if isinstance(jobs, list | tuple) else jobs if isinstance(jobs, int) else 1


def _dropped(state: ModelState, call: Call, value: Any) -> Broken | None:
    """An accepted enqueue was answered with a job that was finished before: nothing will run for it."""
    job = state.known(call.returned_job) if call.returned_job is not None else None
    if call.operation != "enqueue" or call.status is not _OK or call.added or call.met_key:
        return None
    if job is None or job.state not in FINAL:
        return None
    if state.recorded is not None and state.recorded.has_changed(job.job, call):
        return None
    told = f"{call.client}'s enqueue of step {call.step} was accepted, when no live job had its key."
    return broken(state, "duplicate-key", job.job, told, f"Yet it was given {job.job}, which was {job.state} already.")


def _limit(state: ModelState, observed: Observed, value: Limit) -> Broken | None:
    """More jobs of a key run than may."""
    for name, job in observed.jobs.items():
        if job is None or job.state is not _RUNNING:
            continue
        key = column(job, value.column)
        if key is None:
            continue
        if len(state.limited.get(key, ())) > value.limit:
            running = [state.running[other] for other in state.limited[key]]
            most = counted(value.limit, "job")
            told = f"At most {most} with {value.column} = {key!r} may run at an instant."
            claims = [state.current[other.job] for other in running if other.job in state.current]
            yet = f"Yet {', '.join(other.job for other in running)} run after step {state.step}."
            return broken(state, "limit-exceeded", name, told, *map(tell_claim, claims), yet)
    return None


RULES = (
    Rule("unique-key", Hook.OBSERVED, _keys),
    Rule("unique-key", Hook.RETURNED, _added),
    Rule("unique-key", Hook.RETURNED, _dropped),
    Rule("live-limit", Hook.OBSERVED, _limit),
)
