"""Shrinking a finding in a world: which candidates count, when there is no more time, and what is kept meanwhile.

How a schedule is made simpler is `simplifying`'s. A better candidate counts only once it has failed again in a
clean database, and then it is told at once, so whatever ends the shrinking leaves a trace that replays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from attrs import define, field, frozen

from pgqmodel.errors import NoVerdictError
from pgqmodel.explore.judged import AnomalyFound, Finding, Run
from pgqmodel.explore.recorded_schedule import Recorded
from pgqmodel.explore.simplifying import ATTEMPTS_MAX, cost, shrink
from pgqmodel.explore.tracing import record
from pgqmodel.history import render
from pgqmodel.steps import KINDS, Step
from pgqmodel.trace import Trace
from pgqmodel.world import World

__all__ = ["Ending", "Shrinker", "Shrunk", "attempt", "not_back"]


@frozen(kw_only=True)
class Ending:
    """How a shrinking ended: `early` says what stopped it, and is empty if there was nothing left to try."""

    early: str = ""
    note: str = ""
    """What is to be said about that besides."""


@frozen(kw_only=True)
class Shrunk:
    """The best trace so far; with an `ending` it is the last one."""

    trace: Trace
    ending: Ending | None = None


class _OutOfTime(Exception):  # noqa: N818 - no error: the bound was reached
    """The time for shrinking is over; raised before a step."""


@define(kw_only=True)
class Shrinker:
    """Shrinks one finding. `tell` gets every improvement as soon as it is known to replay."""

    world: World
    finding: Finding
    faults: frozenset[str]
    source: str
    seed: int
    deadline: float | None
    """On the clock of `time.monotonic`; None leaves the end to the passes, so that it does not depend on a clock."""
    tell: Callable[[Shrunk], None]
    _best: Finding = field(init=False)
    _trace: Trace = field(init=False)
    _attempts: int = field(init=False, default=0)
    _misled: bool = field(init=False, default=False)
    """Whether rows that were there before have made a difference."""

    async def shrink(self) -> Shrunk:
        """The shortest story; NoVerdictError if the finding does not come back.

        Candidates run after fast resets, and what they lead to has to hold in a clean database. Where it did not, all
        is done again with clean resets.
        """
        found = await attempt(self.world, self.finding.schedule, lenient=True)
        if found is None or not found.broken.has_cause_of(self.finding.broken):
            raise not_back(self.finding)
        self._keep(found)
        try:
            return await self._search()
        except _OutOfTime:
            return Shrunk(trace=self._trace, ending=Ending(early="its time was over"))

    async def _search(self) -> Shrunk:
        allowed = {kind for kind in KINDS.values() if kind.fault in {"", *self.faults}}
        for clean in (False, True):
            self._ask_time()
            self._attempts = 0
            await shrink(self._best.schedule, partial(self._improve, clean=clean), allowed=allowed)
            again = await attempt(self.world, self._best.schedule, before_step=self._ask_time)
            same = again is not None and render(again.history) == render(self._best.history)
            if same and (clean or not self._misled):
                early = f"it had tried {ATTEMPTS_MAX:,} schedules" if self._attempts >= ATTEMPTS_MAX else ""
                return Shrunk(trace=self._trace, ending=Ending(early=early))
        raise not_back(self.finding)

    async def _improve(self, candidate: Sequence[Step], *, clean: bool) -> tuple[Step, ...] | None:
        """The steps taken, if they fail from the same cause, also in a clean database, and tell a simpler story."""
        self._ask_time()
        self._attempts += 1
        found = await self._simpler(candidate, clean=clean)
        if found is not None and not clean:
            found = await self._simpler(found.schedule, clean=True)
            self._misled = self._misled or found is None
        if found is None:
            return None
        self._keep(found)
        return found.schedule

    async def _simpler(self, candidate: Sequence[Step], *, clean: bool) -> Finding | None:
        found = await attempt(self.world, candidate, lenient=True, clean=clean, before_step=self._ask_time)
        if found is None or not found.broken.has_cause_of(self.finding.broken):
            return None
        return found if cost(found.schedule) < cost(self._best.schedule) else None

    def _keep(self, found: Finding) -> None:
        self._best = found
        self._trace = record(self.world, found, source=self.source, seed=self.seed)
        self.tell(Shrunk(trace=self._trace))

    def _ask_time(self) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise _OutOfTime


def not_back(finding: Finding) -> NoVerdictError:
    """The error that says that a finding did not come back."""
    return NoVerdictError(_NOT_BACK.format(anomaly=finding.broken.anomaly))


_NOT_BACK = (
    "{anomaly} was found, but the same schedule did not give it again from a clean database; the target or its "
    "database has a source of chance that is not controlled (random values, background work); remove it, or report this"
)


async def attempt(
    world: World,
    schedule: Sequence[Step],
    *,
    lenient: bool = False,
    clean: bool = True,
    before_step: Callable[[], None] = lambda: None,
) -> Finding | None:
    """Run a schedule after a reset: the finding it ends in, or None."""
    await world.reset(clean=clean)
    run = Run(world=world, before_step=before_step)
    try:
        await run.follow(Recorded(schedule=schedule, lenient=lenient))
    except AnomalyFound as anomaly:
        return anomaly.finding
    return None
