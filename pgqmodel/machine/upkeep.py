"""The rules for queues with more than the common operations: maintenance of their own, and operations that add jobs.

They are added to a machine only for such a target. Each rule is drawn as often as any other, so one more rule changes
every story of a machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypothesis import strategies as st
from hypothesis.stateful import rule

from pgqmodel.machine.drawing import LATE, PICK, STOP, pick
from pgqmodel.machine.machine import Machine
from pgqmodel.machine.vocabulary import when
from pgqmodel.operations import ABSENT, CLAIM, ENQUEUE, FAIL, Role, State
from pgqmodel.steps import Advance, Begin, Go
from pgqmodel.target import Target
from pgqmodel.wire.sql import bare
from pgqmodel.world.client import Client
from pgqmodel.world.deadlines import lease_seconds, spans

__all__ = ["Upkeep", "with_upkeep"]

_INSERTS = re.compile(r"\binsert\s+into\s+([\w.\"]+)", re.IGNORECASE)


class Upkeep(Machine):
    """The rules for the target's own maintenance operations, and for operations of a job's holder that add jobs."""

    @when(lambda self: self.maintained())
    @rule(which=PICK, stop=STOP)
    def maintain(self, which: int, stop: int) -> None:
        """A maintenance client runs an operation that only this target has."""
        self.begin(pick(self.maintained(), which), 0, stop)

    @when(lambda self: self.maintained() and self.time_may_pass() and (self.has(State.RUNNING) or self.due()))
    @rule(how=PICK, which=PICK, who=PICK, late=LATE)
    def fall_due(self, how: int, which: int, who: int, late: int) -> None:
        """Time moves past a lease or to a deadline, maintenance runs, and a worker may come back late."""
        seconds = [lease_seconds(self.world.target.settings) + 1, *self.due()]
        self.take(Advance(seconds=pick(seconds, how)))
        self.begin(pick(self.maintained(), which), 0, 0)
        self.come_back(late, who)

    @when(lambda self: self.crossed())
    @rule(which=PICK, who=PICK, at=PICK, how=PICK, more=st.booleans())
    def cross(self, which: int, who: int, at: int, how: int, more: bool) -> None:
        """An operation that moves or adds jobs stops halfway, another one runs to its end, then the first goes on.

        In between, a job may be claimed, too. The other one is the same operation by another client, or any operation
        that may move or add the same jobs.
        """
        operation = pick(self.crossed(), which)
        client = pick(self.can(operation), who)
        key = self.key_of(client)
        self.take(Begin(client=client.name, operation=operation, stop=self.halfway(operation, at)))
        others = [name for name in self.crossing(operation) if self.can(name)]
        if others:
            self.run_through(pick(others, how), who, key)
        if more and self.has(State.PENDING) and self.can(CLAIM.name):
            self.begin(CLAIM.name, who, 0)
        if client in self.world.waiting():
            self.take(Go(client=client.name))

    @when(lambda self: self.promoting() and self.time_may_pass() and (self.has(State.WAITING) or self.can(FAIL.name)))
    @rule(which=PICK, who=PICK, at=PICK)
    def promote(self, which: int, who: int, at: int) -> None:
        """A job that waits is promoted twice: by a client that has stopped halfway, too, once workers have claimed it.

        If no job waits, one fails, because it may have to wait for its next attempt.
        """
        if not self.has(State.WAITING):
            self.begin(FAIL.name, who, 0)
        delay = self.delay(State.WAITING)
        if delay:
            self.take(Advance(seconds=delay))
        able = self.promoting()
        operation = pick(able, which) if able else None
        if operation is None or not self.has(State.WAITING):
            return
        first = self.can(operation)[0]
        self.take(Begin(client=first.name, operation=operation, stop=self.halfway(operation, at)))
        if self.can(operation):
            self.begin(operation, 0, 0)
        for worker in self.can(CLAIM.name):
            self.take(Begin(client=worker.name, operation=CLAIM.name))
        if first in self.world.waiting():
            self.take(Go(client=first.name))

    def due(self) -> list[float]:
        """The seconds until each known deadline, and past each length of time that the maintenance writes out."""
        programs = [self.world.target.operations[name] for name in self.maintained()]
        written = [span for each in programs for one in getattr(each, "statements", ()) for span in spans(one.sql)]
        return [*self.moments(), *(span + 1 for span in dict.fromkeys(written))]

    def promoting(self) -> list[str]:
        """The operations of `maintained` that may make waiting jobs eligible."""
        kinds = self.world.target.kinds
        return [name for name in self.maintained() if any(m.before is State.WAITING for m in kinds[name].moves)]

    def halfway(self, operation: str, at: int) -> int:
        """A gate within an operation. Most statements outside a transaction have one gate or two."""
        return 1 + at % (len(getattr(self.world.target.operations[operation], "statements", ())) + 1)

    def crossing(self, operation: str) -> list[str]:
        """The operations that may get in the way of another one; if that adds jobs, those that add jobs, too."""
        enqueue = [ENQUEUE.name] if self.world.enqueued < self.enqueues_max else []
        if operation in self.world.target.maintenance:
            return [operation, CLAIM.name, *self.crossed(), *self.settling(), *enqueue]
        return [*enqueue, operation]

    def run_through(self, operation: str, who: int, key: str | None) -> None:
        """A client runs an operation to its end; an enqueue uses `key`, if there is one."""
        keyed = operation == ENQUEUE.name and "unique_key" in self.world.target.operations[operation].parameters
        self.begin(operation, who, 0, **({"unique_key": key} if keyed and key is not None else {}))

    def key_of(self, client: Client) -> str | None:
        """The unique key of the job that a client believes to hold, as last observed."""
        known = self.world.observer.jobs.get(client.belief.job) if client.belief is not None else None
        return known.unique_key if known is not None else None

    def maintained(self) -> list[str]:
        """The target's own maintenance operations that a client could begin now and that would find a job."""
        kinds = self.world.target.kinds
        return [
            name
            for name in self.world.target.maintenance
            if self.can(name) and (self.world.observer.jobs or any(move.before is ABSENT for move in kinds[name].moves))
        ]

    def crossed(self) -> list[str]:
        """The maintenance operations of `maintained`, and the holders' operations that add jobs."""
        return [*self.maintained(), *(name for name in _adding(self.world.target) if self.can(name))]


def with_upkeep(machine: type[Machine], target: Target) -> type[Machine]:
    """The machine with these rules added, if the target has such operations."""
    if not target.maintenance and not _adding(target):
        return machine
    operations = machine.operations | {*target.maintenance}
    return type(machine.__name__, (Upkeep, machine), {"operations": operations})


def _adding(target: Target) -> list[str]:
    """The holders' operations that add jobs: the target says so, or they insert into a table of the enqueue.

    This only guides the choice. Judging goes by the target's own words.
    """
    kinds, enqueued = target.kinds, set(_inserts(target, ENQUEUE.name))
    return [
        name
        for name in target.operations
        if kinds[name].role is Role.WORKER
        and (
            any(move.before is ABSENT for move in kinds[name].moves) or not enqueued.isdisjoint(_inserts(target, name))
        )
    ]


def _inserts(target: Target, operation: str) -> Iterator[str]:
    """The tables that an operation's statements insert into."""
    for statement in getattr(target.operations.get(operation), "statements", ()):
        for table in _INSERTS.findall(bare(statement.sql)):
            yield table.lower()
