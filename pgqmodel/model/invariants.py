"""What must hold of every observation, whoever made it so: keys, limits, attempt numbers, run status; and the drain's end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pgqmodel.history import Draining, Job, Observed
from pgqmodel.model.eligible import column
from pgqmodel.model.state import ModelState
from pgqmodel.model.verdicts import Verdicts
from pgqmodel.operations import FINAL, LIVE, State

__all__ = ["judge_drain", "judge_observation", "run_state"]


def judge_observation(state: ModelState, event: Observed, verdicts: Verdicts) -> None:
    """Judge what is there now."""
    if event.jobs:
        _judge_keys(state, verdicts)
        _judge_limit(state, verdicts)
        _judge_attempts(state, event, verdicts)
    if event.jobs or event.runs:
        _judge_runs(state, event, verdicts)


def _judge_keys(state: ModelState, verdicts: Verdicts) -> None:
    live: dict[str, list[str]] = defaultdict(list)
    for row in state.jobs.values():
        if row.unique_key is not None and row.state in LIVE:
            live[row.unique_key].append(row.job)
    for key, jobs in live.items():
        if len(jobs) > 1:
            verdicts.broken(
                "duplicate-key",
                jobs[-1],
                f"At most one job with the key {key!r} may be pending or running.",
                f"Yet after step {state.step} there are {' and '.join(jobs)}.",
            )


def _judge_limit(state: ModelState, verdicts: Verdicts) -> None:
    limit = verdicts.promises.get("live-limit")
    if limit is None:
        return
    running: dict[Any, list[str]] = defaultdict(list)
    for row in state.jobs.values():
        if row.state is State.RUNNING and column(row, limit.column) is not None:
            running[column(row, limit.column)].append(row.job)
    for value, jobs in running.items():
        verdicts.witness("live-limit", int(len(jobs) >= limit.limit))
        if len(jobs) > limit.limit:
            verdicts.broken(
                "limit-exceeded",
                jobs[-1],
                f"At most {limit.limit} jobs with {limit.column} {value!r} may run at once.",
                f"Yet after step {state.step} there are {' and '.join(jobs)}.",
            )


def _judge_attempts(state: ModelState, event: Observed, verdicts: Verdicts) -> None:
    for name, row in event.jobs.items():
        if row is None or row.attempt is None:
            continue
        expected = state.first_attempt[name] + state.attempts[name]
        if row.attempt != expected:
            verdicts.broken(
                "attempt-miscount",
                name,
                f"{name} has been claimed {state.attempts[name]} times, so its attempt number should be {expected}.",
                f"Yet after step {state.step} it is {row.attempt}.",
            )


def _judge_runs(state: ModelState, event: Observed, verdicts: Verdicts) -> None:
    if "run-status" not in verdicts.promises:
        return
    jobs: dict[str, list[Job]] = defaultdict(list)
    for row in state.seen.values():
        if row.run is not None:
            jobs[row.run].append(row)
    touched = {row.run for row in event.jobs.values() if row is not None} | set(event.runs)
    for run, rows in jobs.items():
        if run not in touched or run not in state.runs or any(row.job not in state.jobs for row in rows):
            continue
        verdicts.witness("run-status")
        expected = run_state(row.state for row in rows)
        if state.runs[run] is not expected:
            told = ", ".join(f"{row.job} {row.state}" for row in rows)
            verdicts.broken(
                "status-divergence",
                rows[-1].job,
                f"The jobs of run {run} are {told}, so the run should be {expected}.",
                f"Yet after step {state.step} its status is {state.runs[run]}.",
            )


def run_state(states: Iterable[State]) -> State:
    """What follows from the states of a run's jobs."""
    there = set(states)
    if len(there) == 1 and there <= {State.PENDING, State.COMPLETED}:
        return there.pop()
    if there <= FINAL:
        return State.FAILED if State.FAILED in there else State.CANCELLED if State.CANCELLED in there else State.COMPLETED
    return State.RUNNING


def judge_drain(state: ModelState, event: Draining, verdicts: Verdicts, settings: Mapping[str, Any]) -> None:
    """At the end of the drain every job must be final; the one that always fails may not hold up the others."""
    unfinished = [row for row in state.jobs.values() if row.state in LIVE and row.job != event.poison]
    if event.poison is not None:
        verdicts.witness("poison-isolated", int(len(state.jobs) > 1))
    elif state.disturbed:
        verdicts.witness("recovery")
    for row in unfinished:
        said = f"{row.job} is still {row.state} after faults stopped, leases lapsed and every worker had its turns."
        if event.poison is None:
            verdicts.broken("stuck-job", row.job, f"{row.job} was enqueued, and nobody cancelled it.", f"Yet {said}")
        else:
            verdicts.broken("poison-block", row.job, f"{event.poison} always fails, which is its own affair.", f"Yet {said}")
