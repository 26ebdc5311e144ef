"""`unique-key`: at most one live job has a given key; an accepted enqueue is neither dropped nor doubled."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from pgqmodel.history import Observed
from pgqmodel.model.change import Call, Change
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import jobs_seen
from pgqmodel.model.state import ModelState
from pgqmodel.operations import ANSWERED, ENQUEUE, FINAL, LIVE, Meaning, Status
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Memory, Promise, Rule, Source, Trial
from pgqmodel.promises.reasons import AddedJobs, EnqueueIsOne, GivenFinished, KeyIsOnce, KeyShared, KeyWasFree

__all__ = ["PROMISE"]

_ENQUEUE = frozenset({ENQUEUE.name})


def _observed(state: ModelState, observed: Observed, value: Any) -> Broken | None:
    """Two live jobs have the same key."""
    for name, job in observed.jobs.items():
        if job is None or job.unique_key is None or job.state not in LIVE:
            continue
        same = state.keyed.get(job.unique_key, {})
        if len(same) > 1:
            shared = KeyShared(step=state.step, jobs=jobs_seen(state, [state.jobs[other] for other in same]))
            return PROMISE.broken(state, name, KeyIsOnce(job.unique_key), Yet(shared))
    return None


@define
class _Brought:
    """The memory of an enqueue: whether a live job had its key when it looked, and the jobs that it added."""

    met_key: bool = False
    added: list[str] = field(factory=list)


_NOTHING = _Brought()


def _brought(call: Call) -> _Brought:
    known: _Brought | None = PROMISE.fact(call)
    return known if known is not None else _NOTHING


def _doubled(state: ModelState, call: Call, value: Any) -> Broken | None:
    """One accepted enqueue added two jobs of one key; others may come with it, such as one that waits for it."""
    if call.status is not Status.OK:
        return None
    added: dict[str, list[str]] = {}
    for name in _brought(call).added:
        job = state.known(name)
        if job is not None and job.unique_key is not None:
            added.setdefault(job.unique_key, []).append(name)
    twice = next((jobs for jobs in added.values() if len(jobs) > _meant(call)), None)
    if twice is None:
        return None
    one = EnqueueIsOne(client=call.client, step=call.step)
    return PROMISE.broken(state, twice[-1], one, Yet(AddedJobs(tuple(twice))))


def _meant(call: Call) -> int:
    """How many jobs an enqueue was to add: one, unless its arguments say `jobs`, as a number or a list of them."""
    jobs = call.arguments.get("jobs", 1)
    return len(jobs) if isinstance(jobs, list | tuple) else jobs if isinstance(jobs, int) else 1


def _dropped(state: ModelState, call: Call, value: Any) -> Broken | None:
    """An accepted enqueue was answered with a job that was finished before: nothing will run for it."""
    job, brought = state.known(call.returned_job) if call.returned_job is not None else None, _brought(call)
    if call.status is not Status.OK or brought.added or brought.met_key or job is None or job.state not in FINAL:
        return None
    free = KeyWasFree(client=call.client, step=call.step)
    return PROMISE.broken(state, job.job, free, Yet(GivenFinished(job=job.job, state=job.state)))


def _dropped_in_story(state: ModelState, call: Call, value: Any) -> Broken | None:
    """The same where the job was there when the enqueue looked: another producer's was live once it came."""
    job = call.returned_job
    came_later = job is not None and call.ran_version is not None and state.born.get(job, -1) >= call.ran_version
    return None if came_later else _dropped(state, call, value)


def _dropped_in_record(state: ModelState, call: Call, value: Any) -> Broken | None:
    """The same in a recorded history, where the job may have been live when the enqueue looked."""
    if call.returned_job is None or state.changed.get(call.returned_job, 0) >= call.instant:
        return None
    return _dropped(state, call, value)


def _look(state: ModelState, call: Call, known: _Brought | None) -> _Brought:
    """Remember whether a live job had the key that an enqueue brings when it looked."""
    brought, key = known if known is not None else _Brought(), call.arguments.get("unique_key")
    brought.met_key = key is not None and bool(state.keyed.get(key))
    return brought


def _add(state: ModelState, change: Change, known: _Brought | None) -> _Brought:
    """Remember a job that an enqueue added."""
    brought = known if known is not None else _Brought()
    brought.added.append(change.job)
    return brought


def _could_add(state: ModelState, call: Call) -> bool:
    """What may add a job beside enqueue, such as the tick of a clock, was over while a job with a key was live."""
    kind = state.kinds.get(call.operation)
    adds = kind is not None and call.operation not in _ENQUEUE and any(move.before is None for move in kind.moves)
    return adds and call.status in ANSWERED and any(state.keyed.values())


PROMISE: Promise = Promise(
    name="unique-key",
    says="at most one job with a given key is pending or running; an accepted enqueue is neither dropped nor doubled",
    anomalies=("duplicate-key",),
    columns=("jobs.unique_key",),
    rules=(
        Rule(Hook.OBSERVED, _observed),
        Rule(Hook.RETURNED, _doubled, _ENQUEUE),
        Rule(Hook.RETURNED, _dropped_in_story, _ENQUEUE, frozenset({Source.EXPLORED})),
        Rule(Hook.RETURNED, _dropped_in_record, _ENQUEUE, frozenset({Source.RECORDED})),
    ),
    trials=(
        Trial(Hook.RETURNED, lambda state, call: _brought(call).met_key, _ENQUEUE),
        Trial(Hook.RETURNED, _could_add),
    ),
    memories=(
        Memory(Hook.MET, _look, _ENQUEUE),
        Memory(Hook.CHANGED, _add, frozenset({Meaning.ADDED})),
    ),
    inferred=True,
)
