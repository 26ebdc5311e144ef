"""A target as values: the promises of a queue, its set-up, its observations, one program for each operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

import psycopg
from attrs import field, frozen

from pgqmodel.cast import WORKERS
from pgqmodel.catalogue import Catalogue
from pgqmodel.model.runs import AS_THE_JOBS, Shows, shows
from pgqmodel.operations import OPERATIONS, Lease, Operation, State, Status
from pgqmodel.promises import PROMISES, Outline
from pgqmodel.target.commands import Command
from pgqmodel.target.kinds import draws_random, goes_on

__all__ = ["AfterLost", "Habits", "Observation", "Program", "Reply", "Script", "Target", "Unlocks"]


@frozen(kw_only=True)
class Reply:
    """The end of a program, as its client sees it: the row if the queue gave one, the SQLSTATE if it gave an error.

    `also` are the rows of the other jobs, if a claim took several. `transaction` is the identifier of the program's
    last transaction, if the client asked for it and there was one.
    """

    status: Status
    row: Mapping[str, Any] = field(factory=dict)
    also: tuple[Mapping[str, Any], ...] = ()
    error: str | None = None
    transaction: int | None = None


class AfterLost(StrEnum):
    """A worker's reaction after the answer of a settlement was lost."""

    REPEAT = "repeat"
    FAIL = "fail"
    NOTHING = "nothing"


class Unlocks(StrEnum):
    """When a worker lets go of the deploy lock."""

    BEFORE = "before"
    AFTER = "after"
    NEVER = "never"


class Program(Protocol):
    """One operation of a queue.

    `parameters` are the names that it uses, so that only these are drawn; `isolation` is the level that it sets.
    """

    @property
    def name(self) -> str:
        """The name of the operation."""

    @property
    def isolation(self) -> str | None:
        """The isolation level that it sets, or None for the server's default."""

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters it takes."""

    async def run(
        self, connection: psycopg.AsyncConnection[Any], values: Mapping[str, Any], *, tell_transaction: bool = False
    ) -> Reply:
        """Run it once; psycopg.OperationalError if the connection is lost on the way.

        With `tell_transaction` the reply names the transaction, if that costs no round trip; nothing else differs.
        """


@frozen(kw_only=True)
class Script:
    """A piece of set-up SQL, and its origin."""

    label: str
    sql: str


@frozen(kw_only=True)
class Observation:
    """The queries that show a queue, and the states of its words; runs may have words of their own.

    A word of a run may stand for several states, such as one for "not over yet".
    """

    jobs: str
    states: Mapping[str, State]
    run_states: Mapping[str, tuple[State, ...]] | None = None
    runs: str | None = None
    environments: str | None = None
    logs: str | None = None

    @property
    def shows(self) -> Shows:
        """The statuses that a run may show, for each status that follows from its jobs."""
        return AS_THE_JOBS if self.run_states is None else shows(self.run_states.values())

    @property
    def queries(self) -> dict[str, str]:
        """The queries that the target has, by name."""
        named = {"jobs": self.jobs, "runs": self.runs, "environments": self.environments, "logs": self.logs}
        return {name: sql for name, sql in named.items() if sql is not None}


@frozen(kw_only=True)
class Habits:
    """The habits of a worker, which statements do not show.

    `keeps_name`: after a restart it has its old name. `after_lost` is the reaction after the answer of a settlement was
    lost: the same call again, a `fail` (as in a catch block), or nothing. `unlocks`: when it releases the deploy lock.
    `settles_all`: it settles all jobs of a batch at once.
    """

    keeps_name: bool = True
    settles_all: bool = False
    after_lost: AfterLost = AfterLost.REPEAT
    unlocks: Unlocks = Unlocks.BEFORE


@frozen(kw_only=True)
class Target:
    """A queue to be checked. `source` is the caller's name for it; `fingerprint` changes with every change of it.

    `leases`: the end of any of them ends the right of a silent holder. `wake_channel` and `log_channel` are the
    channels of notifications for jobs and for log lines. `extras` are statements beside the operations, for several
    jobs or lines at once. `enums` has the labels, in their order, of those columns of the order of claims that are
    enums; `moments` names the columns of promises that hold points in time; `columns` has those of each query,
    `returns` those of each statement of an operation. All these come from the database. `assumed` are the settings
    that the target neither gives nor uses. `kinds` has the kind of each operation, of the common ones and of those
    that only this target has.
    """

    name: str
    source: str
    promises: Mapping[str, Any]
    settings: Mapping[str, Any]
    setup: tuple[Script, ...]
    observe: Observation
    operations: Mapping[str, Program]
    fingerprint: str
    leases: tuple[Lease, ...] = (Lease.HEARTBEAT,)
    habits: Habits = field(factory=Habits)
    command: Command | None = None
    """The program that its workers are; None if they run the statements of its operations."""
    kinds: Catalogue[Operation] = OPERATIONS
    wake_channel: str | None = None
    log_channel: str | None = None
    extras: Mapping[str, Program] = field(factory=dict)
    enums: Mapping[str, tuple[str, ...]] = field(factory=dict)
    moments: tuple[str, ...] = ()
    columns: Mapping[str, frozenset[str]] = field(factory=dict)
    returns: Mapping[str, tuple[tuple[str, ...], ...]] = field(factory=dict)
    assumed: frozenset[str] = frozenset()

    @property
    def said(self) -> dict[str, Any]:
        """The settings that it gives or uses."""
        return {name: value for name, value in self.settings.items() if name not in self.assumed}

    @property
    def outline(self) -> Outline:
        """Its shape, once it is described: what decides which promises it could make."""
        return Outline(
            operations=self._acted,
            columns=self.columns,
            channels=frozenset(each.channel for each in PROMISES.values() if getattr(self, each.channel or "_", None)),
            leases=self.leases,
            said=frozenset(self.said),
            maps_runs=self.observe.run_states is not None,
            inferred=self.command is not None,
        )

    @property
    def _acted(self) -> Mapping[str, Operation]:
        """The operations that its clients may do: what a program does is not known before."""
        return self.kinds if self.command is not None else {name: self.kinds[name] for name in self.operations}

    @property
    def named(self) -> tuple[str, ...]:
        """The columns of jobs that its promises name."""
        declared = [(promise, self.promises[name]) for name, promise in PROMISES.items() if name in self.promises]
        return tuple(column for promise, value in declared for column in promise.value.columns(value))

    @property
    def maintenance(self) -> tuple[str, ...]:
        """The maintenance operations that only this target has."""
        return tuple(name for name in self.operations if name not in OPERATIONS)

    def is_about_all(self, operation: str) -> bool:
        """Whether a call of a holder's operation is about all the jobs that its claim took, not about one of them."""
        named = self.operations[operation].parameters
        return self.kinds[operation].holders and (
            "jobs" in named or (self.habits.settles_all and "job" not in named and self.kinds[operation].settles)
        )

    @property
    def workers(self) -> int:
        """How many workers a story has, if nobody says otherwise."""
        return WORKERS if self.command is None else self.command.count

    @property
    def settles(self) -> bool:
        """Whether workers settle their jobs; where a claim ends its job, there may be nothing to settle."""
        return any(self.kinds[name].settles for name in self.operations)

    @property
    def leaves_marks(self) -> bool:
        """Whether an operation leaves a mark in its session that the next story must not find."""
        programs = self.operations.values()
        return self._says(goes_on) or any(getattr(program, "leaves_mark", False) for program in programs)

    @property
    def draws_random(self) -> bool:
        """Whether an operation may call `random()`."""
        return self._says(draws_random)

    def _says(self, test: Callable[[str], bool]) -> bool:
        """Whether a statement passes the test; set-up counts, too: a default or a function in it may have the call."""
        programs = self.operations.values()
        statements = [text for program in programs for text in getattr(program, "texts", ())]
        return any(test(sql) for sql in (*statements, *(script.sql for script in self.setup)))
