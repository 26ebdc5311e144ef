"""Exploring in one world: batches of stories that Hypothesis chooses, and the shrinking of their findings.

A batch is a pure function of the target, the seed and the batch's number, so any number of processes explore the same
schedules; see `pgqmodel.explore.fleet`.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from attrs import define, field, frozen

from pgqmodel.explore.dry_run import DryRun
from pgqmodel.explore.judged import AnomalyFound, Finding, Run, WouldBreak
from pgqmodel.explore.replaying import Replayed, replay
from pgqmodel.explore.shrinking import Shrinker, Shrunk, attempt
from pgqmodel.explore.simplifying import cost
from pgqmodel.explore.tracing import record
from pgqmodel.machine.storyteller import Stories
from pgqmodel.machine.vocabulary import Vocabulary
from pgqmodel.operations import CLAIM, ENQUEUE
from pgqmodel.promises import PROMISES, may_judge
from pgqmodel.steps import Step
from pgqmodel.trace import Trace
from pgqmodel.understood import Understanding
from pgqmodel.world import World

__all__ = ["BATCH_SCHEDULES", "Batch", "BatchResult", "Caught", "Explorer"]

BATCH_SCHEDULES = 40
_STEPS_MAX = (16, 24, 12, 32)
"""The most rules of a story, by turns of batches: short stories are fast, and some bugs need long ones."""
_OFTEN = 4
"""An operation that breaks one story in so many hides bugs that need more steps."""
_NEEDED = frozenset({ENQUEUE.name, CLAIM.name})
"""The operations without which no other one is possible."""


@frozen(kw_only=True)
class Batch:
    """The schedules to explore: `schedules` of them, chosen by the run's seed and the batch's number."""

    number: int
    seed: int
    schedules: int = BATCH_SCHEDULES
    first: bool = False
    """Whether it ends at its first finding."""
    source: str = ""
    """The target as its caller named it, for the traces."""
    deadline: float | None = None
    """A time of `time.monotonic`, which is the same in all processes of a machine."""


@frozen(kw_only=True)
class Caught:
    """A finding of a batch with its trace, not shrunk and not run a second time."""

    batch: int
    finding: Finding
    trace: Trace


@frozen(kw_only=True)
class BatchResult:
    """The result of a batch: the simplest finding of each cause, in the order in which the causes were found."""

    number: int
    schedules: int
    steps: int
    witnessed: Mapping[str, int]
    broken: Mapping[str, int] = field(factory=dict)
    """For each broken promise, the number of stories that broke it."""
    findings: Sequence[Caught] = ()
    would_break: Mapping[str, WouldBreak] = field(factory=dict)
    """The simplest story that broke each promise that is judged quietly."""


@define
class _Done:
    """The result of a batch so far."""

    schedules: int = 0
    steps: int = 0
    witnessed: Counter[str] = field(factory=Counter)
    found: dict[tuple[str, tuple[str, ...]], Caught] = field(factory=dict)
    causes: Counter[tuple[str, tuple[str, ...]]] = field(factory=Counter)
    """For each promise and the operations that broke it, the number of stories."""
    would_break: dict[str, WouldBreak] = field(factory=dict)

    def add(self, steps: int, witnessed: Mapping[str, int]) -> None:
        """Count a story that came to its end."""
        self.schedules += 1
        self.steps += steps
        self.witnessed.update(witnessed)

    @property
    def avoided(self) -> frozenset[str]:
        """The operations that the next story leaves out: in every second story, those that hide other bugs."""
        causes = self.causes.items() if self.schedules % 2 else ()
        often = [operations for (_, operations), times in causes if times > 1 and times * _OFTEN >= self.schedules]
        return frozenset(name for operations in often for name in operations) - _NEEDED

    @property
    def broken(self) -> Mapping[str, int]:
        """For each broken promise, the number of stories that broke it."""
        broken = Counter[str]()
        for (promise, _), times in self.causes.items():
            broken[promise] += times
        return broken

    def overhear(self, would_break: Mapping[str, WouldBreak]) -> None:
        """Keep the simplest story that broke each undeclared promise; of equal ones the first."""
        for name, found in would_break.items():
            if name not in self.would_break or found.steps < self.would_break[name].steps:
                self.would_break[name] = found


class _OutOfTime(Exception):  # noqa: N818 - no error: the bound was reached
    """The time for exploring is over; raised before a story or a step."""


@define(kw_only=True)
class Explorer:
    """Explores one world with the machines of the catalogue, batch by batch in turn."""

    world: World
    machines: Sequence[type[Vocabulary]]
    faults: frozenset[str]
    tell: Callable[[Shrunk | Caught], None] = lambda told: None
    """Called with each finding of an exploration, and with each shorter story of a shrinking."""
    _quiet: tuple[str, ...] = field(init=False)
    _bound: Sequence[type[Vocabulary]] = field(init=False)
    """The machines with these faults. Made once, because Hypothesis caches what it works out for a class."""

    def __attrs_post_init__(self) -> None:
        target = self.world.target
        self._quiet = tuple(may_judge(PROMISES, target.outline, target.promises))
        self._bound = [
            type(machine.__name__, (machine,), {"faults": machine.faults & self.faults}) for machine in self.machines
        ]

    async def explore(self, batch: Batch) -> BatchResult:
        """Run one batch from a clean database, until its end, its first finding (if `first`), or its deadline.

        A story ends when it breaks a promise, because later violations may only be consequences of the first.
        """
        self.world.chance = batch.seed
        await self.world.reset(clean=True)
        done = _Done()
        with self._stories(batch) as stories, contextlib.suppress(_OutOfTime):
            while done.schedules < batch.schedules and stories.has_another():
                try:
                    await self._tell_story(batch, stories, done)
                except AnomalyFound as anomaly:
                    self._note(batch, anomaly.finding, done)
                    if batch.first:
                        break
                    stories.drop()
        return BatchResult(
            number=batch.number,
            schedules=done.schedules,
            steps=done.steps,
            witnessed=dict(done.witnessed),
            broken=dict(done.broken),
            findings=tuple(done.found.values()),
            would_break=done.would_break,
        )

    def _note(self, batch: Batch, finding: Finding, done: _Done) -> None:
        """Count a story that broke a promise; keep it if its cause is new, or if it is simpler than the one kept."""
        done.add(len(finding.schedule), finding.witnessed)
        done.causes[finding.broken.cause] += 1
        known = done.found.get(finding.broken.cause)
        if known is None or cost(finding.schedule) < cost(known.finding.schedule):
            trace = record(self.world, finding, source=batch.source, seed=batch.seed)
            found = done.found[finding.broken.cause] = Caught(batch=batch.number, finding=finding, trace=trace)
            self.tell(found)

    async def _tell_story(self, batch: Batch, stories: Stories, done: _Done) -> None:
        """Run one story from its reset to its end. The first story of a run comes to its end even if time is over."""

        def ask_time() -> None:
            is_first = batch.number == 0 and done.schedules == 0
            if batch.deadline is not None and not is_first and time.monotonic() > batch.deadline:
                raise _OutOfTime

        ask_time()
        await self.world.reset()
        run = Run(world=self.world, before_step=ask_time, quiet=self._quiet, avoided=done.avoided)
        try:
            await run.follow(stories)
        finally:
            done.overhear(run.would_break)
        if stories.came_to_its_end:
            done.add(len(run.taken), run.witnessed)

    def _stories(self, batch: Batch) -> Stories:
        # The seed picks the first machine; otherwise one machine's easy finding would hide what others find.
        machine = self._bound[(batch.number + batch.seed) % len(self._bound)]
        steps_max = _STEPS_MAX[batch.number // len(self._bound) % len(_STEPS_MAX)]
        seed = _derive(batch.seed, batch.number)
        return Stories(machine=machine, seed=seed, stories_max=batch.schedules, rules_max=steps_max)

    async def confirm(self, finding: Finding, source: str, seed: int) -> Trace | None:
        """Run a finding's story again from a clean database; return its trace, or None if it does not come back."""
        self.world.chance = seed  # this world may not have had the seed yet
        found = await attempt(self.world, finding.schedule, lenient=True)
        if found is None or not found.broken.has_cause_of(finding.broken):
            return None
        return record(self.world, found, source=source, seed=seed)

    async def shrink(self, finding: Finding, source: str, seed: int, deadline: float | None = None) -> Shrunk:
        """Shrink a finding until `deadline`; return its shortest story. See `Shrinker`."""
        self.world.chance = seed
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

    async def dry_run(self) -> Understanding:
        """Run each operation once, alone."""
        return await DryRun(world=self.world).run()

    async def attempt(self, schedule: Sequence[Step], *, lenient: bool = False) -> Finding | None:
        """Run a schedule from a clean database; return the finding that ends it, or None."""
        return await attempt(self.world, schedule, lenient=lenient)


def _derive(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:8], "big")
