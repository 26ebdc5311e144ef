"""`run-status`: a run's status always follows from its jobs' states."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Observed
from pgqmodel.model.change import Change
from pgqmodel.model.facts import Yet
from pgqmodel.model.gathering import jobs_seen
from pgqmodel.model.runs import status
from pgqmodel.model.state import ModelState
from pgqmodel.promises.broken import Broken
from pgqmodel.promises.promise import Hook, Promise, Rule, Source, Trial
from pgqmodel.promises.reasons import RunHas, RunShows

__all__ = ["PROMISE"]


def _observed(state: ModelState, observed: Observed, value: Any) -> Broken | None:
    """The status of a run that changed, or whose jobs did, does not follow from them."""
    for run in _touched(state, observed):
        shown = state.runs.get(run)
        tally = state.tallies.get(run)
        if shown is None or tally is None:
            continue
        expected = {status(states) for states in tally.states()}
        if expected and not any(shown in state.shows.get(each, {each}) for each in expected):
            jobs = jobs_seen(state, list(state.in_run(run)), most=6)
            has = RunHas(run=run, jobs=jobs, due=tuple(sorted(expected)))
            return PROMISE.broken(state, None, has, Yet(RunShows(status=shown, step=state.step)))
    return None


def _touched(state: ModelState, observed: Observed) -> dict[str, None]:
    """The runs that an observation is about, each once."""
    runs: dict[str, None] = dict.fromkeys(observed.runs)
    for name in observed.jobs:
        job = state.known(name)
        if job is not None and job.run is not None:
            runs[job.run] = None
    return runs


def _changed(state: ModelState, change: Change) -> bool:
    """A job of a run changed; an explored history shows every run's status."""
    return change.after is not None and change.after.run is not None


def _changed_and_shown(state: ModelState, change: Change) -> bool:
    """A job of a run changed, and the recorded history shows that run's status."""
    return change.after is not None and change.after.run is not None and change.after.run in state.runs


PROMISE: Promise = Promise(
    name="run-status",
    says="a run's status always follows from its jobs' states",
    anomalies=("status-divergence",),
    columns=("jobs.run", "runs.run", "runs.state"),
    rules=(Rule(Hook.OBSERVED, _observed),),
    trials=(
        Trial(Hook.CHANGED, _changed, sources=frozenset({Source.EXPLORED})),
        Trial(Hook.CHANGED, _changed_and_shown, sources=frozenset({Source.RECORDED})),
    ),
    unasked=lambda outline: outline.maps_runs,  # the queue may have a rule of its own
    inferred=True,
)
