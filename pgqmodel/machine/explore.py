"""Exploring in one world: batches of schedules that Hypothesis chooses, and the shrinking of what they found.

A batch is a pure function of the target, the seed and the batch's number, so any number of processes explore the same
schedules; see `pgqmodel.machine.fleet`.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import hypothesis
from attrs import define, field, frozen
from hypothesis.stateful import run_state_machine_as_test

from pgqmodel.machine.bridge import run_sync, wait
from pgqmodel.machine.machine import Machine
from pgqmodel.machine.replay import Replayed, replay
from pgqmodel.machine.run import AnomalyFound, Finding, Run
from pgqmodel.machine.shrinking import Shrinker, Shrunk, attempt
from pgqmodel.machine.source import BACKEND
from pgqmodel.steps import Step
from pgqmodel.trace import Trace
from pgqmodel.world import World

__all__ = ["BATCH_SCHEDULES", "Batch", "BatchResult", "Explorer"]

BATCH_SCHEDULES = 40
_STEPS_MAX = (16, 24, 12, 32)
_QUIET: dict[str, Any] = {
    "backend": BACKEND,
    "database": None,
    "deadline": None,
    "phases": (hypothesis.Phase.generate,),
    "suppress_health_check": tuple(hypothesis.HealthCheck),
    "report_multiple_bugs": False,
    "verbosity": hypothesis.Verbosity.quiet,
    "print_blob": False,
}


@frozen(kw_only=True)
class Batch:
    """Which schedules to explore: `schedules` of them, from the run's seed and the batch's number."""

    number: int
    seed: int
    schedules: int = BATCH_SCHEDULES
    deadline: float | None = None
    """On the clock of `time.monotonic`, which all processes of a machine share."""


@frozen(kw_only=True)
class BatchResult:
    """What a batch came to; with a finding it ends there."""

    number: int
    schedules: int
    steps: int
    witnessed: Mapping[str, int]
    finding: Finding | None = None


class _BreakOff(BaseException):
    """Leaves Hypothesis at once: no exception that it would take for a failing example.

    Where it cannot see why an example ended early (the deadline), it complains of flakiness instead.
    """


@define(kw_only=True)
class Explorer:
    """Explores one world with the machines of the catalogue, batch by batch in turn."""

    world: World
    machines: Sequence[type[Machine]]
    faults: frozenset[str]
    tell: Callable[[Shrunk], None] = lambda shrunk: None
    """Gets what a shrinking has found so far."""
    _bound: Sequence[type[Machine]] = field(init=False)
    """The machines with this explorer as their host; made once: Hypothesis keeps what it knows of a class."""
    _schedules: int = field(init=False, default=0)
    _steps: int = field(init=False, default=0)
    _witnessed: Counter[str] = field(init=False, factory=Counter)
    _finding: Finding | None = field(init=False, default=None)
    _failure: Exception | None = field(init=False, default=None)
    _broken_off: bool = field(init=False, default=False)
    _batch: Batch = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._bound = [
            type(machine.__name__, (machine,), {"faults": machine.faults & self.faults, "host": self})
            for machine in self.machines
        ]

    async def explore(self, batch: Batch) -> BatchResult:
        """Run one batch from a clean database."""
        self._schedules, self._steps, self._witnessed = 0, 0, Counter()
        self._finding, self._failure, self._broken_off = None, None, False
        await self.world.reset(clean=True)
        try:
            await run_sync(lambda: self._run(batch))
        except (_BreakOff, hypothesis.errors.Flaky):
            if not self._broken_off:
                raise
        if self._failure is not None:
            raise self._failure
        return BatchResult(
            number=batch.number,
            schedules=self._schedules,
            steps=self._steps,
            witnessed=dict(self._witnessed),
            finding=self._finding,
        )

    def _run(self, batch: Batch) -> None:
        # Another seed begins with another machine: what one finds in every second story would hide what others find.
        machine = self._bound[(batch.number + batch.seed) % len(self._bound)]
        steps_max = _STEPS_MAX[batch.number // len(self._bound) % len(_STEPS_MAX)]
        self._batch = batch
        hypothesis.seed(_derive(batch.seed, batch.number))(machine)
        settings = hypothesis.settings(max_examples=batch.schedules, stateful_step_count=steps_max, **_QUIET)
        run_state_machine_as_test(machine, settings=settings)

    def start(self) -> Run:
        """A run in a world that was just reset; leaves Hypothesis when time is up, before any of its steps."""
        self._ask_time()
        wait(self.world.reset())
        return Run(world=self.world, before_step=self._ask_time)

    def _ask_time(self) -> None:
        """Break off when time is up. The first story of all is told to its end, however long starting took."""
        deadline = self._batch.deadline
        is_first = self._batch.number == 0 and self._schedules == 0
        if deadline is not None and not is_first and time.monotonic() > deadline:
            self._broken_off = True
            raise _BreakOff

    def finish(self, run: Run) -> None:
        """Count a run that came to its end."""
        self._schedules += 1
        self._steps += len(run.taken)
        self._witnessed.update(run.witnessed)

    def found(self, anomaly: AnomalyFound) -> BaseException:
        """Keep a finding, and leave Hypothesis."""
        self._finding, self._broken_off = anomaly.finding, True
        self._schedules += 1
        self._steps += len(anomaly.finding.schedule)
        self._witnessed.update(anomaly.finding.witnessed)
        return _BreakOff()

    def failed(self, error: Exception) -> BaseException:
        """Keep what went wrong, and leave Hypothesis."""
        self._failure, self._broken_off = error, True
        return _BreakOff()

    async def shrink(self, finding: Finding, source: str, seed: int, deadline: float | None = None) -> Shrunk:
        """The shortest story of a finding that can be had until `deadline`; see `Shrinker`."""
        shrinker = Shrinker(
            world=self.world,
            finding=finding,
            faults=self.faults,
            source=source,
            seed=seed,
            deadline=deadline,
            tell=self.tell,
        )
        return await shrinker.shrink()

    async def replay(self, trace: Trace) -> Replayed:
        """Take the steps of a trace again."""
        return await replay(self.world, trace)

    async def attempt(self, schedule: Sequence[Step], *, lenient: bool = False) -> Finding | None:
        """Run a schedule from a clean database: the finding it ends in, or None."""
        return await attempt(self.world, schedule, lenient=lenient)


def _derive(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:8], "big")
