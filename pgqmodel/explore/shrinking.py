"""Shrinking a finding in a world: it decides which simpler schedules count, when to stop, and what to keep.

Why the schedule is shrunk, and not the numbers from which Hypothesis drew it: every attempt costs a run on a real
server. To take out one crash is one attempt on the level of steps, and dozens on the level of drawn numbers. How
simpler candidates are made is in `simplifying` (delta debugging, Zeller and Hildebrandt 2002; fewest preemptions first,
Musuvathi and Qadeer 2007). This module decides what an attempt means.

Invariants:

- A candidate counts only if it fails from the same cause. Otherwise shrinking slips from the finding into another one
  that is easier to reach, and the report explains a bug that was not found.
- A better candidate counts only after it has failed again in a clean database. The rows of earlier stories can make a
  difference, and a trace that needs them does not replay elsewhere.
- Every improvement is told at once. So the last trace told replays, even if time or the user ends the shrinking.
- Without a time limit the passes alone end it, so that the result depends on the seed and not on a clock.
- A story whose time was made shorter must also end in the finding where statements take no time, or it would tell "30 s
  pass" of a lease that is over only after 30 s and a microsecond, and would not come back on another server.
- A finding that does not always come back is told as it was found, "seen once, replayed k of n": it happened on a real
  server, even if it does not happen the next time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial

from attrs import define, evolve, field, frozen

from pgqmodel.errors import ReplayMismatchError
from pgqmodel.explore.judged import AnomalyFound, Finding, Run
from pgqmodel.explore.recorded_schedule import Recorded
from pgqmodel.explore.simplifying import ATTEMPTS_MAX, cost, shrink
from pgqmodel.explore.tracing import record
from pgqmodel.naming import differences
from pgqmodel.steps import KINDS, Advance, Step
from pgqmodel.trace import Trace
from pgqmodel.world import World

__all__ = ["REPLAYS", "Ending", "Shrinker", "Shrunk", "attempt", "seen_once"]

REPLAYS = 5
"""The number of replays of a story that is not the same each time."""


@frozen(kw_only=True)
class Ending:
    """The end of a shrinking: `early` is what stopped it, and empty if there was nothing left to try.

    `replayed` is for a story that is not the same each time: how often it came back, such as "2 of 5".
    """

    early: str = ""
    replayed: str = ""
    note: str = ""
    """A further remark for the reader."""


@frozen(kw_only=True)
class Shrunk:
    """The best trace so far. If it has an `ending`, no better one follows."""

    trace: Trace
    ending: Ending | None = None


class _OutOfTime(Exception):  # noqa: N818 - no error: the bound was reached
    """The time for shrinking is over; raised before a step."""


@define(kw_only=True)
class Shrinker:
    """Shrinks one finding. `tell` is called with every improvement as soon as it has replayed."""

    world: World
    finding: Finding
    faults: frozenset[str]
    source: str
    seed: int
    deadline: float | None
    """A time of `time.monotonic`. With None the passes alone end the shrinking, so it does not depend on a clock."""
    tell: Callable[[Shrunk], None]
    _best: Finding = field(init=False)
    _trace: Trace = field(init=False)
    _attempts: int = field(init=False, default=0)
    _misled: bool = field(init=False, default=False)
    """Whether a candidate failed only because of rows from an earlier story."""
    _timeless: bool = field(init=False, default=False)
    """Whether the story as it was found ends in the finding where statements take no time, too."""

    async def shrink(self) -> Shrunk:
        """The shortest story; the story as it was found if the finding does not always come back.

        Candidates run after fast resets, and the result must fail in a clean database, too. If it does not, the
        shrinking is repeated with clean resets.
        """
        found = await attempt(self.world, self.finding.schedule, lenient=True)
        if found is None or not found.broken.has_cause_of(self.finding.broken):
            return await self._seen_once()
        self._keep(found)
        try:
            self._timeless = bool(_waits(found.schedule)) and await self._comes_without_ticks(found.schedule)
            return await self._search()
        except _OutOfTime:
            return Shrunk(trace=self._trace, ending=Ending(early="its time was over"))

    async def _search(self) -> Shrunk:
        allowed = {kind for kind in KINDS.values() if kind.fault in {"", *self.faults}}
        for clean in (False, True):
            self._ask_time()
            self._attempts = 0
            await shrink(self._best.schedule, partial(self._improve, clean=clean), allowed=allowed)
            # The same schedule must give the same history once more, or the trace would not replay.
            again = await attempt(self.world, self._best.schedule, before_step=self._ask_time)
            same = again is not None and not any(differences(again.told, self._best.told))
            if same and (clean or not self._misled):
                early = f"it had tried {ATTEMPTS_MAX:,} schedules" if self._attempts >= ATTEMPTS_MAX else ""
                return Shrunk(trace=self._trace, ending=Ending(early=early))
        back = await self._count(self._best.schedule)
        if back == REPLAYS:
            return Shrunk(trace=self._trace, ending=Ending(replayed=_often(back)))
        return await self._seen_once()

    async def _seen_once(self) -> Shrunk:
        """The story as it was found. It depends on chance, and is told all the same: it happened on a real server."""
        back = await self._count(self.finding.schedule)
        return seen_once(record(self.world, self.finding, source=self.source, seed=self.seed), back)

    async def _count(self, schedule: Sequence[Step]) -> int:
        """The number of replays, each from a clean database, that end in the same finding."""
        back = 0
        for _ in range(REPLAYS):
            with contextlib.suppress(ReplayMismatchError):
                found = await attempt(self.world, schedule)
                back += found is not None and found.broken.has_cause_of(self.finding.broken)
        return back

    async def _improve(self, candidate: Sequence[Step], *, clean: bool) -> tuple[Step, ...] | None:
        """The steps taken, if they are simpler and fail from the same cause, also in a clean database; else None."""
        self._ask_time()
        self._attempts += 1
        found = await self._simpler(candidate, clean=clean)
        if found is not None and not clean:
            found = await self._simpler(found.schedule, clean=True)
            self._misled = self._misled or found is None
        if found is None or (self._is_hasty(found) and not await self._comes_without_ticks(found.schedule)):
            return None
        self._keep(found)
        return found.schedule

    def _is_hasty(self, found: Finding) -> bool:
        """Whether a candidate has other waits than the best story, and may owe its end to the time of statements."""
        return self._timeless and _waits(found.schedule) != _waits(self._best.schedule)

    async def _comes_without_ticks(self, schedule: Sequence[Step]) -> bool:
        """Whether a story ends in the finding where statements take no time."""
        clock = self.world.database.clock
        ticking, clock.ticking = clock.ticking, False
        try:
            found = await attempt(self.world, schedule, lenient=True, before_step=self._ask_time)
        finally:
            clock.ticking = ticking
        return found is not None and found.broken.has_cause_of(self.finding.broken)

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


def _waits(schedule: Sequence[Step]) -> list[float]:
    """The times that pass in a story."""
    return [step.seconds for step in schedule if isinstance(step, Advance)]


def _often(back: int) -> str:
    return f"{back} of {REPLAYS}"


def seen_once(trace: Trace, back: int) -> Shrunk:
    """A story as it was found, with a sentence on how often it came back since."""
    often = _often(back)
    told = evolve(trace, explanation=(*trace.explanation, _SEEN_ONCE.format(often=often)))
    return Shrunk(trace=told, ending=Ending(early=_UNSTEADY, replayed=often))


_UNSTEADY = "the same steps do not always end in it"
_SEEN_ONCE = (
    "Seen once, replayed {often} times: the queue or its server has a source of chance that is not controlled, such as "
    "random values of a server that is not ours, its machine's clock, or numbers of its processes and transactions."
)


async def attempt(
    world: World,
    schedule: Sequence[Step],
    *,
    lenient: bool = False,
    clean: bool = True,
    before_step: Callable[[], None] = lambda: None,
) -> Finding | None:
    """Run a schedule after a reset; return the finding that ends it, or None."""
    await world.reset(clean=clean)
    run = Run(world=world, before_step=before_step)
    try:
        await run.follow(Recorded(schedule=schedule, lenient=lenient))
    except AnomalyFound as anomaly:
        return anomaly.finding
    return None
