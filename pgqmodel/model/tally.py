"""Counts the jobs of a run by state and stage, so that promises need not walk through all its jobs."""

from __future__ import annotations

from attrs import define, field

from pgqmodel.history import Job
from pgqmodel.operations import State

__all__ = ["StageCount", "Tally"]

_COMPLETED, _PENDING = State.COMPLETED, State.PENDING

_BROKEN = frozenset({State.FAILED, State.CANCELLED})


@define(eq=False)
class StageCount:
    """One stage: `open` jobs have not completed (removed ones count), `waiting` are pending, `failed` never will."""

    open: int = 0
    waiting: int = 0
    failed: int = 0


@define(eq=False)
class Tally:
    """One run. `there` counts its jobs by state, `gone` counts the jobs whose row was removed."""

    there: dict[State, int] = field(factory=dict)
    gone: dict[State, int] = field(factory=dict)
    stages: dict[int, StageCount] = field(factory=dict)
    lowest: int | None = None
    """The first stage that is open."""
    gated: int = 0
    """The number of pending jobs in later stages."""

    def count(self, job: Job, by: int, *, there: bool) -> None:
        """Add a job, or remove it (`by` is 1 or -1)."""
        states = self.there if there else self.gone
        states[job.state] = states.get(job.state, 0) + by
        if job.stage is None:
            return
        stage = self.stages.get(job.stage)
        if stage is None:
            stage = self.stages[job.stage] = StageCount()
        was_open = stage.open > 0
        if job.state is not _COMPLETED:
            stage.open += by
        if job.state is _PENDING and there:
            stage.waiting += by
            if self.lowest is not None and job.stage > self.lowest:
                self.gated += by
        elif job.state in _BROKEN:
            stage.failed += by
        if was_open is not (stage.open > 0):
            self._look()

    def _look(self) -> None:
        self.lowest = lowest = min((number for number, stage in self.stages.items() if stage.open), default=None)
        self.gated = (
            0
            if lowest is None
            else sum(stage.waiting for number, stage in self.stages.items() if number > lowest and stage.waiting)
        )

    def is_closed(self, stage: int) -> bool:
        """Whether a stage before this one is open."""
        return self.lowest is not None and self.lowest < stage

    def has_failed_before(self, stage: int) -> bool:
        """Whether a job of an earlier stage failed or was cancelled."""
        return any(number < stage and each.failed for number, each in self.stages.items())

    def states(self) -> list[set[State]]:
        """The states of its jobs: first with removed jobs, then without them."""
        there = {state for state, number in self.there.items() if number}
        everything = there | {state for state, number in self.gone.items() if number}
        return [states for states in (everything, there) if states]
