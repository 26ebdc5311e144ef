"""Takes over an observation, right or wrong: the model goes on from it, even if it breaks a promise."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from pgqmodel.history import Job, Observed
from pgqmodel.model.change import Change
from pgqmodel.model.claims import end_claim, start_claim, undo_claim
from pgqmodel.model.eligible import column
from pgqmodel.model.state import ModelState
from pgqmodel.model.tally import Tally
from pgqmodel.operations import CLAIMS, FINAL, LIVE, Meaning, State

__all__ = ["adopt", "adopt_rest"]

_PENDING, _RUNNING = State.PENDING, State.RUNNING


def adopt(state: ModelState, change: Change) -> None:
    """Take over the change of one job."""
    _adopt_claim(state, change)
    name, before, after = change.job, change.before, change.after
    if before is not None:
        state.changed[name] = state.instant
        _forget(state, name, before)
    elif change.call is not None and state.drain is not None and change.call.step > state.drain.step:
        state.followers.add(name)
    if after is not None:
        _learn(state, name, after)
    elif before is not None:
        remover = state.kinds.get(change.operation)
        state.gone[name] = gone = evolve(before, state=(remover and remover.removal) or before.state)
        _count(state, gone, 1, there=False)


def adopt_rest(state: ModelState, observed: Observed) -> None:
    """Take over the runs of an observation, after its jobs."""
    for run, shown in observed.runs.items():
        _show(state.runs, run, shown)
    state.version += 1


def _show(table: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value


def _adopt_claim(state: ModelState, change: Change) -> None:
    meaning = change.meaning
    if meaning is Meaning.REWRITTEN:
        return
    if meaning in CLAIMS and change.call is not None:
        start_claim(state, change.call, change.job, certain=change.certain)
    elif meaning is Meaning.UNDONE and change.claim is not None:
        undo_claim(state, change.claim)
    elif meaning is Meaning.LAPSED:
        _let_go(state, change)
    elif change.after is None or change.after.state is not _RUNNING:
        end_claim(state, change)


def _let_go(state: ModelState, change: Change) -> None:
    """A job is shown as free: its holder may still settle it, as long as no other call takes it.

    If time has passed, other calls may take it; also if a settlement released its lock and goes on in another
    transaction. If its holder released a lock before its settlement commits, they may not yet.
    """
    call = change.call
    state.follows_clock = state.follows_clock or call is None
    if change.claim is not None:
        change.claim.lapsed, change.claim.ended = call is None or not call.open, change.seen(state.step)


def _learn(state: ModelState, name: str, job: Job) -> None:
    if name not in state.born:
        state.born[name] = state.version
        state.first_attempt[name] = job.attempt or 0
    gone = state.gone.pop(name, None)
    if gone is not None:
        _count(state, gone, -1, there=False)
    state.jobs[name] = job
    if job.state is _PENDING:
        state.pending[name] = job
    elif job.state is _RUNNING:
        state.running[name] = job
    elif job.state in FINAL:
        state.finals += 1
    if job.run is not None:
        state.members.setdefault(job.run, {})[name] = None
        _count(state, job, 1, there=True)
    if job.needs and job.state is _PENDING:
        state.needy[name] = job
    if state.limit is not None and job.state is _RUNNING:
        state.limited.setdefault(column(job, state.limit.column), {})[name] = None
    if job.unique_key is not None and job.state in LIVE:
        state.keyed.setdefault(job.unique_key, {})[name] = None


def _forget(state: ModelState, name: str, job: Job) -> None:
    del state.jobs[name]
    if job.run is not None:
        _count(state, job, -1, there=True)
    if job.needs:
        state.needy.pop(name, None)
    if state.limit is not None and job.state is _RUNNING:
        state.limited.get(column(job, state.limit.column), {}).pop(name, None)
    state.pending.pop(name, None)
    state.running.pop(name, None)
    if job.state in FINAL:
        state.finals -= 1
    elif job.unique_key is not None:
        state.keyed.get(job.unique_key, {}).pop(name, None)


def _count(state: ModelState, job: Job, by: int, *, there: bool) -> None:
    """Count a job in its run, or take it out (`by` is 1 or -1)."""
    if job.run is None:
        return
    tally = state.tallies.get(job.run)
    if tally is None:
        tally = state.tallies[job.run] = Tally()
    state.gated -= tally.gated
    tally.count(job, by, there=there)
    state.gated += tally.gated
