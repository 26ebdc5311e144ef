"""The machine for workers that are programs: it starts, stops and kills them, and chooses where each goes on.

A rule is a piece of a story that may go wrong: a holder is late, two claim at once, a body ends after the lease. What a
program does with a unit of its own is not known beforehand, so the rules choose by what is held and what runs.
"""

from __future__ import annotations

import sys

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from pgqmodel.bridge import ask
from pgqmodel.explore.program_ending import drain_programs
from pgqmodel.machine.drawing import DRAWN, FATE, PICK, SELDOM, STOP, pick
from pgqmodel.machine.vocabulary import ENDS, Vocabulary, when
from pgqmodel.operations import CANCEL, ENQUEUE, RECLAIM, Role, State
from pgqmodel.steps import (
    Advance,
    Continue,
    CutLine,
    End,
    Fate,
    Finish,
    Go,
    Kill,
    Proceed,
    Start,
    Step,
    Stop,
    Wait,
)
from pgqmodel.world.deadlines import lease_seconds

__all__ = ["Programs"]

_UNIT = st.sampled_from((0, 0, 0, 1, 2, 2, 3, 3, 4, 5, 6, 8))
"""The unit at which a program stops; it often goes on until it rests (0)."""
_HALFWAY = st.sampled_from((1, 2, 2, 3, 3, 4, 5, 6))


class Programs(Vocabulary):
    """The rules for programs, and for the producers and the maintenance beside them."""

    enqueues_max = 3

    @initialize(jobs=st.integers(1, 2), drawn=DRAWN, stop=_UNIT, both=st.booleans(), idle=st.booleans())
    def open_story(self, jobs: int, drawn: tuple[int, ...], stop: int, both: bool, idle: bool) -> None:
        """There are jobs, and one program runs, or two; or two are idle when two jobs come, and race for them."""
        names = list(self.world.actors)[: 1 + (both or idle)]
        for name in names if idle else ():
            self.take(Start(client=name))
        for number in range(2 if idle else jobs):
            self.enqueue_one(0, tuple(choice + number * (not idle) for choice in drawn))
        for name in names if not idle else ():
            self.take(Start(client=name, stop=stop))
        if idle:
            self.race(0, stop, back=True)

    @when(lambda self: self.world.enqueued < self.enqueues_max and self.can(ENQUEUE.name))
    @rule(stop=STOP, drawn=DRAWN)
    def enqueue(self, stop: int, drawn: tuple[int, ...]) -> None:
        """A producer adds a job."""
        self.enqueue_one(stop, drawn)

    @when(lambda self: self.can(CANCEL.name) and self.world.observer.jobs)
    @rule(which=PICK, stop=STOP)
    def cancel(self, which: int, stop: int) -> None:
        """A producer cancels a job."""
        self.begin(CANCEL.name, 0, stop, job=pick(sorted(self.world.observer.jobs), which))

    @when(lambda self: self.upkeep())
    @rule(which=PICK, stop=STOP)
    def maintain(self, which: int, stop: int) -> None:
        """Maintenance runs one of its operations."""
        self.begin(pick(self.upkeep(), which), 0, stop)

    @when(lambda self: self.world.waiting())
    @rule(who=PICK, stop=STOP)
    def release(self, who: int, stop: int) -> None:
        """A producer or maintenance goes on."""
        self.take(Go(client=pick(self.world.waiting(), who).name, stop=stop))

    @when(lambda self: self.ready(Start))
    @rule(who=PICK, stop=_UNIT)
    def start(self, who: int, stop: int) -> None:
        """A program is started, for the first time or again."""
        self.take(Start(client=pick(self.ready(Start), who), stop=stop))

    @when(lambda self: self.ready(Proceed))
    @rule(who=PICK, stop=_UNIT)
    def proceed(self, who: int, stop: int) -> None:
        """A program goes on."""
        self.take(Proceed(client=pick(self.ready(Proceed), who), stop=stop))

    @when(lambda self: self.bodies())
    @rule(which=PICK, fails=SELDOM, stop=_UNIT)
    def finish(self, which: int, fails: bool, stop: int) -> None:
        """The body of a job ends, and its program settles the job, or begins to."""
        client, job = pick(self.bodies(), which)
        self.take(Finish(client=client, job=job, fails=fails, stop=stop))

    @when(lambda self: self.possible(Wait()))
    @rule(times=st.integers(1, 3))
    def wait(self, times: int) -> None:
        """Time passes until a program has something to do, and it does it."""
        for _ in range(times):
            if self.possible(Wait()):
                self.take(Wait())
                self.go_on_all()

    @when(lambda self: len(self.ready(Proceed)) > 1)
    @rule(who=PICK, stop=_HALFWAY, back=st.booleans())
    def meet(self, who: int, stop: int, back: bool) -> None:
        """Two programs go on, the first of them halfway until the second rests."""
        self.race(who, stop, back=back)

    def race(self, who: int, stop: int, *, back: bool) -> None:
        """One program goes on halfway, the next one until it rests, and then the first again, if that is asked for."""
        if not self.ready(Proceed):
            return
        first = pick(self.ready(Proceed), who)
        self.take(Proceed(client=first, stop=stop))
        for other in [name for name in self.ready(Proceed) if name != first][:1]:
            self.take(Proceed(client=other))
        if back and first in self.ready(Proceed):
            self.take(Proceed(client=first))

    @when(lambda self: self.time_may_pass() and (self.bodies() or self.has(State.RUNNING)))
    @rule(how=PICK, who=PICK, late=_UNIT, heir=st.booleans(), fails=SELDOM)
    def lapse(self, how: int, who: int, late: int, heir: bool, fails: bool) -> None:
        """A holder stands still past its lease, the job is taken back, another runs it, and the first comes back."""
        holder = pick([client for client, _ in self.bodies()] or list(self.world.actors), who)
        self.outlast(holder, heir)
        self.come_back(holder, how, late, fails)

    def outlast(self, holder: str, heir: bool) -> None:
        """A program stands still past the lease, and what it held is taken back; another one may run it."""
        if self.possible(Stop(client=holder)):
            self.take(Stop(client=holder))
        self.take(Advance(seconds=lease_seconds(self.world.target.settings) + 1))
        for operation in self.upkeep():
            self.begin(operation, 0, 0)
        if heir:
            self.succeed(holder)
        if self.possible(Continue(client=holder)):
            self.take(Continue(client=holder))

    def succeed(self, holder: str) -> None:
        """Another program looks for the job that the holder had."""
        for other in [name for name in self.world.actors if name != holder][:1]:
            if self.possible(Start(client=other)):
                self.take(Start(client=other))
            else:
                self.stir(other)

    def stir(self, client: str) -> None:
        """A program goes on; if it rests, time passes until one has something to do."""
        if not self.possible(Proceed(client=client)) and self.possible(Wait()):
            self.take(Wait())
        if self.possible(Proceed(client=client)):
            self.take(Proceed(client=client))

    def come_back(self, holder: str, how: int, late: int, fails: bool) -> None:
        """A program that was late goes on: it beats, or its body ends."""
        if how % 3 and self.possible(Finish(client=holder)):
            self.take(Finish(client=holder, fails=fails, stop=late))
        elif self.possible(Proceed(client=holder)):
            self.take(Proceed(client=holder, stop=late))

    @when(lambda self: self.time_may_pass() and self.moments())
    @rule(which=PICK)
    def verge(self, which: int) -> None:
        """Time moves to a deadline of the queue, just before or just after it, and everybody acts."""
        self.take(Advance(seconds=pick(self.moments(), which)))
        for operation in self.upkeep()[:1]:
            self.begin(operation, 0, 0)
        self.go_on_all()

    @when(lambda self: "stall" in self.faults and self.ready(Stop))
    @rule(who=PICK)
    def stop(self, who: int) -> None:
        """A program stands still."""
        self.take(Stop(client=pick(self.ready(Stop), who)))

    @when(lambda self: self.ready(Continue))
    @rule(who=PICK)
    def resume(self, who: int) -> None:
        """A program that stood still goes on."""
        self.take(Continue(client=pick(self.ready(Continue), who)))

    @when(lambda self: "crash" in self.faults and self.ready(Kill))
    @rule(who=PICK, softly=SELDOM, stop=_UNIT, again=st.booleans())
    def kill(self, who: int, softly: bool, stop: int, again: bool) -> None:
        """A program dies, or is asked to end; it may be started again."""
        client = pick(self.ready(Kill), who)
        gently = End(client=client, stop=stop)
        self.take(gently if softly and self.possible(gently) else Kill(client=client))
        if again and self.possible(Start(client=client)):
            self.take(Start(client=client))

    @when(lambda self: "cut" in self.faults and self.severed(Fate.BEFORE))
    @rule(which=PICK, fate=FATE, again=st.booleans())
    def cut_line(self, which: int, fate: Fate, again: bool) -> None:
        """A connection of a program breaks; the program may go on."""
        cut = pick(self.severed(fate) or self.severed(Fate.BEFORE), which)
        self.take(cut)
        if again and self.possible(Proceed(client=cut.client)):
            self.take(Proceed(client=cut.client))

    @when(lambda self: "cut" in self.faults and self.bodies())
    @rule(which=PICK, fails=SELDOM, stop=st.sampled_from((1, 1, 2)), cut=PICK, fate=FATE, late=SELDOM)
    def lose_settlement(self, which: int, fails: bool, stop: int, cut: int, fate: Fate, late: bool) -> None:
        """A body ends, and the connection that settles its job breaks, before or with the answer; it is told again.

        `late`: only after the lease.
        """
        client, job = pick(self.bodies(), which)
        self.take(Finish(client=client, job=job, fails=fails, stop=stop))
        cuts = [step for step in self.severed(fate) if step.client == client]
        held = [step for step in cuts if self.possible(CutLine(client=client, line=step.line, fate=Fate.AFTER))]
        if held:
            self.take(pick(held, cut))
        if late and self.time_may_pass():
            self.outlast(client, heir=True)
        self.stir(client)

    @rule()
    def rest(self) -> None:
        """Nothing happens. This rule is always possible, because Hypothesis needs one that is."""

    # -- questions -------------------------------------------------------------------------------------------------

    def possible(self, step: Step) -> bool:
        """Whether a step can be taken now."""
        return self.view.refusal(step) is None

    def ready(self, kind: type[Step]) -> list[str]:
        """The programs that could take a kind of step now."""
        return [name for name in self.world.actors if self.possible(kind(client=name))]

    def bodies(self) -> list[tuple[str, str]]:
        """The bodies that could end now: program and job."""
        return [
            (name, job)
            for name, actor in self.world.actors.items()
            for job in actor.working.values()
            if not actor.stopped
        ]

    def severed(self, fate: Fate) -> list[CutLine]:
        """The connections that could break now with this fate."""
        cuts = [step for step in CutLine.options(self.world) if isinstance(step, CutLine)]
        fated = [CutLine(client=step.client, line=step.line, fate=fate) for step in cuts]
        return [step for step in fated if self.possible(step)]

    def upkeep(self) -> list[str]:
        """The maintenance operations that could begin now."""
        kinds = self.world.target.kinds
        known = [name for name in self.world.target.operations if kinds[name].role is Role.MAINTENANCE]
        idle = [client for client in self.world.clients.values() if client.role is Role.MAINTENANCE and client.idle]
        return [name for name in known if idle and (name != RECLAIM.name or self.has(State.RUNNING))]

    def go_on_all(self) -> None:
        """Every program that can goes on until it rests."""
        for name in self.ready(Proceed):
            if self.possible(Proceed(client=name)):
                self.take(Proceed(client=name))

    def teardown(self) -> None:
        """End the story in a drain; a broken-off story has none."""
        if sys.exc_info()[0] is None:
            for step in drain_programs(self.world):
                self.take(step)
            ask(ENDS)
