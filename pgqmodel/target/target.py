"""What is tested, as values: the promises of a queue, its set-up, how it is observed, one program an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

import psycopg
from attrs import field, frozen

from pgqmodel.catalogue import Catalogue
from pgqmodel.model.runs import AS_THE_JOBS, Shows, shows
from pgqmodel.operations import OPERATIONS, Lease, Operation, State, Status
from pgqmodel.promises import PROMISES
from pgqmodel.target.kinds import draws_random, goes_on

__all__ = ["AfterLost", "Habits", "Observation", "Program", "Reply", "Script", "Target", "Unlocks"]


@frozen(kw_only=True)
class Reply:
    """How a program ended, as its client sees it: a row if the queue gave one, the SQLSTATE if it gave an error.

    `also` are the rows of the other jobs, where one claim took several. `transaction` is the last that its work was
    given, where the client asked for it and there was one.
    """

    status: Status
    row: Mapping[str, Any] = field(factory=dict)
    also: tuple[Mapping[str, Any], ...] = ()
    error: str | None = None
    transaction: int | None = None


class AfterLost(StrEnum):
    """What a worker does after a settlement whose answer was lost."""

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

    `parameters` are the names it uses, so that nothing is drawn that it does not take; `isolation` is the level it
    sets.
    """

    @property
    def name(self) -> str:
        """The operation."""

    @property
    def isolation(self) -> str | None:
        """The isolation level it asks for, or None for the server's."""

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters it takes."""

    async def run(
        self, connection: psycopg.AsyncConnection[Any], values: Mapping[str, Any], *, tell_transaction: bool = False
    ) -> Reply:
        """Run it once; psycopg.OperationalError if the connection is lost on the way.

        With `tell_transaction` the outcome names its transaction, where that costs no round trip; nothing else differs.
        """


@frozen(kw_only=True)
class Script:
    """A piece of set-up SQL, and where it comes from."""

    label: str
    sql: str


@frozen(kw_only=True)
class Observation:
    """The queries that show a queue, and what its words for states mean; runs may have words of their own.

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
        """What a run may show, by the status that follows from its jobs."""
        return AS_THE_JOBS if self.run_states is None else shows(self.run_states.values())

    @property
    def queries(self) -> dict[str, str]:
        """The queries that there are, by name."""
        named = {"jobs": self.jobs, "runs": self.runs, "environments": self.environments, "logs": self.logs}
        return {name: sql for name, sql in named.items() if sql is not None}


@frozen(kw_only=True)
class Habits:
    """What a worker does that the statements do not say.

    `keeps_name`: started again, it bears its old name. `after_lost` is what follows a settlement whose answer was lost:
    the same again, a `fail`, as in a catch block, or nothing. `unlocks` says when it lets the deploy lock go.
    """

    keeps_name: bool = True
    after_lost: AfterLost = AfterLost.REPEAT
    unlocks: Unlocks = Unlocks.BEFORE


@frozen(kw_only=True)
class Target:
    """A queue to be checked. `source` is how the caller named it; `fingerprint` changes when anything in it does.

    `leases` are the ways in which a silent holder may lose its job, any of them. `wake_channel` and `log_channel` are
    where it notifies of jobs that may be claimed and of lines; `extras` are statements that its client may use beside
    the operations: several jobs or lines at once. `enums` holds the labels, in their own order, of the columns of the
    order of claims that are enums, `moments` names the columns of promises that hold points in time; only the database
    knows them. `kinds` says what each operation is: the common ones, and those that this target alone has.
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
    kinds: Catalogue[Operation] = OPERATIONS
    wake_channel: str | None = None
    log_channel: str | None = None
    extras: Mapping[str, Program] = field(factory=dict)
    enums: Mapping[str, tuple[str, ...]] = field(factory=dict)
    moments: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """The columns of jobs that its promises name."""
        declared = [(promise, self.promises[name]) for name, promise in PROMISES.items() if name in self.promises]
        return tuple(column for promise, value in declared for column in promise.value.columns(value))

    @property
    def maintenance(self) -> tuple[str, ...]:
        """The maintenance operations that this target alone has."""
        return tuple(name for name in self.operations if name not in OPERATIONS)

    @property
    def settles(self) -> bool:
        """Whether workers settle their jobs; where a claim ends its job, there may be nothing to settle."""
        return any(self.kinds[name].settles for name in self.operations)

    @property
    def leaves_marks(self) -> bool:
        """Whether some operation leaves something in its session, which the next story must not find there."""
        programs = self.operations.values()
        return self._says(goes_on) or any(getattr(program, "leaves_mark", False) for program in programs)

    @property
    def draws_random(self) -> bool:
        """Whether some operation may call `random()`."""
        return self._says(draws_random)

    def _says(self, test: Callable[[str], bool]) -> bool:
        """Whether some statement is of a kind; set-up's count, which may be in a default or in a function."""
        programs = self.operations.values()
        statements = [each.sql for program in programs for each in getattr(program, "statements", ())]
        return any(test(sql) for sql in (*statements, *(script.sql for script in self.setup)))
