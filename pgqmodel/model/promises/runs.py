"""`run-status`: a run's status always follows from its jobs' states."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pgqmodel.history import Observed
from pgqmodel.model.rule import Broken, Hook, Rule, broken
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import listed
from pgqmodel.operations import FINAL, State

__all__ = ["RULES", "status"]

_CANCELLED, _COMPLETED, _FAILED, _PENDING, _RUNNING = (
    State.CANCELLED,
    State.COMPLETED,
    State.FAILED,
    State.PENDING,
    State.RUNNING,
)


def status(states: Collection[State]) -> State:
    """What the status of a run with jobs in these states is."""
    present = set(states)
    if len(present) == 1 and present <= {_PENDING, _COMPLETED}:
        return present.pop()
    if not present <= FINAL:
        return _RUNNING
    return _FAILED if _FAILED in present else _CANCELLED


def _observed(state: ModelState, observed: Observed, value: Any) -> Broken | None:
    """The status of a run that changed, or whose jobs did, does not follow from them."""
    for run in _touched(state, observed):
        shown = state.runs.get(run)
        tally = state.tallies.get(run)
        if shown is None or tally is None:
            continue
        expected = {status(states) for states in tally.states()}
        if expected and shown not in expected:
            jobs = list(state.in_run(run))
            wanted = " or ".join(sorted(word.value for word in expected))
            told = f"Run {run} has {listed(state, jobs, most=6)}, so its status is {wanted}."
            yet = f"Yet it shows {shown.value} after step {state.step}."
            return broken(state, "status-divergence", None, told, yet)
    return None


def _touched(state: ModelState, observed: Observed) -> dict[str, None]:
    """The runs that an observation is about, each once."""
    runs: dict[str, None] = dict.fromkeys(observed.runs)
    for name in observed.jobs:
        job = state.known(name)
        if job is not None and job.run is not None:
            runs[job.run] = None
    return runs


RULES = (Rule("run-status", Hook.OBSERVED, _observed),)
