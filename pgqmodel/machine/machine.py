"""The stateful machine: Hypothesis chooses what happens next, rule by rule. Nothing here judges or touches the world.

Choices are listed simplest first: `stop=0` runs an operation to its end, the first client is the one that shrinking
prefers. A catalogue narrows the rules down with `operations`, and sets what enqueues draw from.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from pgqmodel.bridge import ask
from pgqmodel.explore.fair_ending import drain
from pgqmodel.machine.drawing import (
    DRAWN,
    FAULTS,
    HALFWAY,
    LATE,
    MOSTLY_WHOLE,
    PICK,
    RACE,
    RESTART_ODDS,
    SELDOM,
    STOP,
    pick,
)
from pgqmodel.machine.fault_rules import FaultRules
from pgqmodel.machine.vocabulary import ENDS, when
from pgqmodel.operations import (
    CANCEL,
    CLAIM,
    COMPLETE,
    DEPLOY,
    ENQUEUE,
    FAIL,
    HEARTBEAT,
    LIVE,
    LOCK,
    LOG,
    RECLAIM,
    UNLOCK,
    State,
)
from pgqmodel.promises import poison_isolated
from pgqmodel.steps import Advance, Begin, Deadlock, Go, Restart
from pgqmodel.world.deadlines import lease_seconds

__all__ = ["FAULTS", "Machine"]


class Machine(FaultRules):
    """The general machine: the rules for every operation of the target, and for every fault that is switched on."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """The operations that a target must have for this machine to be of use."""
    opening: ClassVar[Sequence[str]] = ()
    """The operations with which more than half of the stories open, each by the first client that can begin it."""

    # -- operations ------------------------------------------------------------------------------------------------

    @initialize(odds=st.integers(0, RESTART_ODDS), jobs=st.integers(1, 3), drawn=DRAWN, opened=PICK)
    def open_story(self, odds: int, jobs: int, drawn: tuple[int, ...], opened: int) -> None:
        """Open a story with some jobs. Few stories may restart, because that takes as long as a hundred schedules."""
        can_restart = Restart().refuse(self.world) is None
        self.restarts_left = int(odds == RESTART_ODDS and "restart" in self.faults and can_restart)
        for number in range(jobs):
            self.enqueue_one(0, tuple(choice + number for choice in drawn))
        for operation in self.opening[: max(opened - 4, 0)]:
            if self.can(operation):
                self.begin(operation, 0, 0)

    @when(lambda self: self.world.enqueued < self.enqueues_max and self.can(ENQUEUE.name))
    @rule(stop=STOP, drawn=DRAWN)
    def enqueue(self, stop: int, drawn: tuple[int, ...]) -> None:
        """A producer adds a job."""
        self.enqueue_one(stop, drawn)

    @when(lambda self: self.claimable() and self.can(CLAIM.name))
    @rule(who=PICK, stop=STOP)
    def claim(self, who: int, stop: int) -> None:
        """A worker claims."""
        self.begin(CLAIM.name, who, stop)

    @when(lambda self: self.can(HEARTBEAT.name))
    @rule(who=PICK, stop=STOP)
    def heartbeat(self, who: int, stop: int) -> None:
        """A worker sends a heartbeat for the job it believes to hold."""
        self.begin(HEARTBEAT.name, who, stop)

    @when(lambda self: self.settling())
    @rule(who=PICK, how=PICK, stop=STOP)
    def settle(self, who: int, how: int, stop: int) -> None:
        """A worker settles the job it believes to hold."""
        self.begin(pick(self.settling(), how), who, stop)

    @when(lambda self: self.can(CANCEL.name) and self.world.observer.jobs)
    @rule(which=PICK, stop=STOP)
    def cancel(self, which: int, stop: int) -> None:
        """A producer cancels a job, in whatever state it is."""
        self.begin(CANCEL.name, 0, stop, job=pick(sorted(self.world.observer.jobs), which))

    @when(lambda self: self.has(State.RUNNING) and self.fresh(Begin, RECLAIM.name) and self.can(RECLAIM.name))
    @rule(stop=STOP)
    def reclaim(self, stop: int) -> None:
        """Maintenance takes back the jobs of silent workers."""
        self.begin(RECLAIM.name, 0, stop)

    @when(
        lambda self: self.can(LOCK.name) or (self.has(State.PENDING) and self.uses(LOCK.name) and self.can(CLAIM.name))
    )
    @rule(who=PICK, stop=STOP)
    def lock(self, who: int, stop: int) -> None:
        """A worker asks for the deploy lock of its job's environment; if no worker has such a job, one claims first."""
        if not self.can(LOCK.name):
            self.begin(CLAIM.name, who, 0)
        if self.can(LOCK.name):
            self.begin(LOCK.name, who, stop)

    @when(lambda self: self.can(DEPLOY.name))
    @rule(who=PICK, stop=STOP)
    def deploy(self, who: int, stop: int) -> None:
        """A worker that believes to hold the lock changes its environment."""
        self.begin(DEPLOY.name, who, stop)

    @when(lambda self: self.can(UNLOCK.name))
    @rule(who=PICK, stop=STOP)
    def unlock(self, who: int, stop: int) -> None:
        """A worker that believes to hold the lock lets it go."""
        self.begin(UNLOCK.name, who, stop)

    @when(lambda self: self.can(UNLOCK.name) and self.uses(CLAIM.name))
    @rule(how=PICK, who=PICK)
    def hand_over(self, how: int, who: int) -> None:
        """A holder releases its lock, or settles its job, and another worker asks for the lock."""
        operations = [name for name in (UNLOCK.name, COMPLETE.name, FAIL.name) if self.can(name)]
        holders = [client for client in self.can(UNLOCK.name) if client.belief]
        self.take(Begin(client=pick(holders, who).name, operation=pick(operations, how)))
        for operation in (CLAIM.name, LOCK.name):
            if self.can(operation) and not (operation == CLAIM.name and self.can(LOCK.name)):
                self.begin(operation, who, 0)

    @when(lambda self: self.can(LOG.name))
    @rule(who=PICK, stop=STOP, more=st.booleans())
    def log(self, who: int, stop: int, more: bool) -> None:
        """A worker writes a line, or two, for the job it believes to hold."""
        writers = [client.name for client in self.can(LOG.name)]
        self.begin(LOG.name, who, stop)
        if more and [client.name for client in self.can(LOG.name)] == writers:
            self.begin(LOG.name, who, stop)

    @when(lambda self: self.raced())
    @rule(how=RACE, who=PICK, stop=HALFWAY, drawn=DRAWN, heir=st.booleans())
    def race(self, how: int, who: int, stop: int, drawn: tuple[int, ...], heir: bool) -> None:
        """Two clients race: the first stops halfway, the second runs to its end, then the first goes on.

        Two producers use the same key. Two maintenance clients reclaim jobs whose leases have lapsed, and a third
        client may have claimed one of them in between.
        """
        first, second = pair = pick(self.raced(), how)
        about = {operation: self.at_stake(operation, who, drawn) for operation in pair}
        if RECLAIM.name in pair and self.time_may_pass():
            self.take(Advance(seconds=lease_seconds(self.world.target.settings) + 1))
        self.begin(first, who, stop, **about[first])
        if self.can(second):
            self.begin(second, 0, 0, **about[second])
        if RECLAIM.name in pair and heir and self.has(State.PENDING) and self.can(CLAIM.name):
            self.begin(CLAIM.name, who, 0)
        if self.world.waiting():
            self.take(Go(client=pick(self.world.waiting(), who).name))

    def at_stake(self, operation: str, who: int, drawn: tuple[int, ...]) -> dict[str, Any]:
        """The arguments of a call in a race: a new job with a key, or a job that a worker holds."""
        if operation == ENQUEUE.name:
            return self.new_job(drawn, [key for key in self.keys if key] or self.keys)
        jobs = self.world.observer.jobs.items()
        held = sorted(name for name, job in jobs if job.state is State.RUNNING)
        return {"job": pick(held, who)} if operation == CANCEL.name else {}

    # -- scheduling and time ---------------------------------------------------------------------------------------

    @when(lambda self: self.world.waiting())
    @rule(who=PICK, stop=STOP)
    def release(self, who: int, stop: int) -> None:
        """A client that waits at the gate goes on."""
        self.take(Go(client=pick(self.world.waiting(), who).name, stop=stop))

    @when(lambda self: self.world.deadlocked())
    @rule(who=PICK)
    def detect_deadlock(self, who: int) -> None:
        """The deadlock detector fires for one of the clients in a cycle."""
        self.take(Deadlock(client=pick(self.world.victims(), who).name))

    @when(lambda self: self.time_may_pass() and self.fresh(Advance) and (self.has(State.RUNNING) or self.moments()))
    @rule(how=PICK)
    def advance(self, how: int) -> None:
        """Time moves: past a lease, by half a lease, by a second, or to, just before or just after a deadline."""
        timeout = lease_seconds(self.world.target.settings)
        choices = [timeout + 1, timeout + 1, timeout // 2 + 1, 1.0, *self.moments()]
        self.take(Advance(seconds=pick(choices, how)))

    @when(lambda self: self.time_may_pass() and self.has(State.RUNNING) and self.can(RECLAIM.name))
    @rule(stop=MOSTLY_WHOLE, late=LATE, who=PICK, beat=SELDOM, heir=st.booleans())
    def lapse(self, stop: int, late: int, who: int, beat: bool, heir: bool) -> None:
        """All holders stall past their leases, and maintenance takes their jobs; one comes back late, or just in time.

        By then another worker may have claimed the job and asked for its deploy lock.
        """
        self.take(Advance(seconds=lease_seconds(self.world.target.settings) + 1))
        if beat and self.can(HEARTBEAT.name):
            self.begin(HEARTBEAT.name, who, 2)
        self.begin(RECLAIM.name, 0, stop)
        for operation in (CLAIM.name, LOCK.name) if heir else ():
            able = [client for client in self.can(operation) if client not in self.outdated()]
            if able and (operation == LOCK.name or self.has(State.PENDING)):
                self.take(Begin(client=pick(able, who).name, operation=operation))
        self.come_back(late, who)

    @when(lambda self: self.time_may_pass() and self.moments())
    @rule(which=PICK, who=PICK, stop=MOSTLY_WHOLE)
    def verge(self, which: int, who: int, stop: int) -> None:
        """Time moves to a deadline, just before or just after it, and the clients that may wait for it act.

        A worker claims even if no job is pending: in some queues a claim takes jobs whose leases have lapsed.
        """
        self.take(Advance(seconds=pick(self.moments(), which)))
        if self.has(State.RUNNING) and self.can(RECLAIM.name):
            self.begin(RECLAIM.name, 0, stop)
        if self.can(CLAIM.name):
            self.begin(CLAIM.name, who, 0)

    @rule()
    def rest(self) -> None:
        """Nothing happens. This rule is always possible, because Hypothesis needs one that is."""

    # -- the end ---------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """End the story in a drain, in some stories with a job that always fails; a broken-off story has none."""
        if sys.exc_info()[0] is None:
            for step in drain(self.world, self.poison()):
                self.take(step)
            ask(ENDS)

    def poison(self) -> str | None:
        """The job that fails in the drain: in every second story the first live job, if the queue promises to cope."""
        promised = (
            poison_isolated.PROMISE.name in self.world.target.promises and FAIL.name in self.world.target.operations
        )
        live = sorted(name for name, job in self.world.observer.jobs.items() if job.state in LIVE)
        return live[0] if promised and len(live) > 1 and len(self.view.taken) % 2 else None
