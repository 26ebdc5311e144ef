"""Reads the operations of a target file, with leases and the habits of workers, which statements do not show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import define, evolve

from pgqmodel.catalogue import Catalogue
from pgqmodel.operations import (
    ABSENT,
    CLAIM,
    ENQUEUE,
    FAIL,
    OPERATIONS,
    REQUIRED,
    SETTLEMENTS,
    Lease,
    Operation,
    State,
    adding,
    ending_at_once,
    maintenance,
    operations_of,
)
from pgqmodel.phrases import shown
from pgqmodel.target.described import FileProgram, Place
from pgqmodel.target.file_values import FileValues
from pgqmodel.target.function import Function
from pgqmodel.target.imported import import_function, parameters_of
from pgqmodel.target.program import Statements, compile_statement
from pgqmodel.target.target import AfterLost, Habits, Unlocks

__all__ = ["FileOperations", "around", "kinds"]

_LEVELS = ("read committed", "repeatable read", "serializable")
_OF_STATEMENTS = ("transaction", "isolation", "expects")
"""The keys that say of statements what a function does by itself."""
_OPERATION_KEYS = ("statements", "python", *_OF_STATEMENTS, "refused_by", "retried_on", "retries")
_RETRIES = 3
"""The number of retries, if the file names errors for retrying and no number."""
_RETRIES_MAX = 100
_NAME = re.compile(r"[\w-]{1,60}")
_MOVE = 'two states, such as "waiting -> pending"'
_STATES: dict[str, State | None] = {**{state.value: state for state in State}, "absent": ABSENT}
"""The words of a move; an absent job has no row."""
_WORKER: dict[str, tuple[str, ...]] = {
    "names": ("kept", "new"),
    "after_lost_settlement": tuple(AfterLost),
    "unlock": tuple(Unlocks),
    "settles": ("each", "all"),
}
"""The words for each habit of a worker; the first is the default."""


@define
class FileOperations(FileValues):
    """Reads the operations of one file."""

    def _operations(self, operations: Any, *, settles: bool, works: bool = True) -> dict[str, FileProgram]:
        """The operations of a file; one whose claims end their jobs needs no settlement.

        Without `works` the worker is a program, and the file has the operations of the others.
        """
        table = self._typed("operations", operations, dict, "a table of operations")
        self._known("operations", table, tuple(OPERATIONS))
        for needed in REQUIRED if works else ({ENQUEUE.name},):
            if not needed & set(table) and (settles or not needed <= SETTLEMENTS):
                expected = "enqueue, claim, and complete or fail" if settles else "enqueue and claim"
                expected = expected if works else "enqueue, beside worker.command"
                self._bad("operations", f"none of {' or '.join(sorted(needed))}", expected, "add it")
        return {
            name: self._operation(f"operations.{name}", name, table[name], "adds")
            for name in OPERATIONS
            if name in table
        }

    def _maintenance(self, operations: Any) -> dict[str, FileProgram]:
        table = self._typed("maintenance", operations, dict, "a table of maintenance operations")
        for name in table:
            key = f"maintenance.{name}"
            if name in OPERATIONS:
                self._bad(key, "an operation that there is", "a name of its own", f"write operations.{name}")
            if not _NAME.fullmatch(name):
                self._bad(key, shown(name), "a name of letters, digits, - and _", "rename it")
        return {
            name: self._operation(f"maintenance.{name}", name, operation, "moves") for name, operation in table.items()
        }

    def _operation(self, key: str, name: str, operation: Any, further: str) -> FileProgram:
        table = self._typed(key, operation, dict, "a table with `statements`, or `python`")
        self._known(key, table, (*_OPERATION_KEYS, further, *(("holds_transaction",) if name == CLAIM.name else ())))
        given = {"statements", "python"} & table.keys()
        wanted = "one of the two: `statements`, the SQL, or `python`, a function that runs it"
        if not given:
            self._bad(f"{key}.statements", "nothing, and no `python`", wanted, "add one")
        if len(given) == 2:
            self._bad(f"{key}.python", "it beside `statements`", wanted, "keep one")
        return (self._function if "python" in given else self._statements)(key, name, table)

    def _statements(self, key: str, name: str, table: Mapping[str, Any]) -> Statements:
        listed = self._typed(f"{key}.statements", table["statements"], list, "a list of SQL statements")
        if not listed:
            self._bad(f"{key}.statements", "an empty list", "at least one SQL statement", "add it")
        common = self._common(key, name, table)
        return Statements(
            statements=tuple(
                compile_statement(
                    f"{self.path}: {key}.statements[{index}]", self._sql(f"{key}.statements[{index}]", sql)
                )
                for index, sql in enumerate(listed)
            ),
            transaction=self._flag(f"{key}.transaction", table.get("transaction", False))
            and common["place"] is Place.APART,
            isolation=self._one_of(f"{key}.isolation", table.get("isolation"), _LEVELS),
            expects_row=self._one_of(f"{key}.expects", table.get("expects"), ("row",)) is not None,
            **common,
        )

    def _function(self, key: str, name: str, table: Mapping[str, Any]) -> Function:
        for other in _OF_STATEMENTS:
            if other in table:
                remedy = "take it out, and have the function do it"
                self._bad(f"{key}.{other}", "it beside `python`", "a function that says this by itself", remedy)
        where = f"{self.path}: {key}.python"
        source = import_function(
            where,
            self._typed(f"{key}.python", table["python"], str, 'a function, such as "myapp.queue:claim"'),
            self.path.parent,
        )
        return Function(
            where=where, source=source, names=parameters_of(where, source), **self._common(key, name, table)
        )

    def _common(self, key: str, name: str, table: Mapping[str, Any]) -> dict[str, Any]:
        """The part of an operation that statements and functions have in common."""
        retried_on = self._errors(f"{key}.retried_on", table.get("retried_on", []))
        retries = self._typed(f"{key}.retries", table.get("retries", _RETRIES if retried_on else 0), int, "a number")
        if not 0 <= retries <= _RETRIES_MAX:
            self._bad(f"{key}.retries", shown(retries), f"a number of 0 to {_RETRIES_MAX}", "correct it")
        holds = self._flag(f"{key}.holds_transaction", table.get("holds_transaction", False))
        return {
            "name": name,
            "place": Place.OPENS if holds else Place.APART,
            "refused_by": self._errors(f"{key}.refused_by", table.get("refused_by", [])),
            "retried_on": retried_on,
            "retries": retries,
            "kind": self._kind(key, name, table),
        }

    def _kind(self, key: str, name: str, table: Mapping[str, Any]) -> Operation | None:
        """The kind of an operation, if the file says more of it than is common."""
        if name not in OPERATIONS:
            wanted = 'a list of what it may do to a job, such as ["waiting -> pending"]'
            listed = self._typed(f"{key}.moves", table.get("moves"), list, wanted)
            return maintenance(name, [self._move(f"{key}.moves[{index}]", move) for index, move in enumerate(listed)])
        adds = self._typed(f"{key}.adds", table.get("adds", {}), dict, "a table with `jobs`")
        self._known(f"{key}.adds", adds, ("jobs",))
        jobs = self._typed(f"{key}.adds.jobs", adds.get("jobs", False), bool, "true or false")
        return adding(OPERATIONS[name]) if jobs else None

    def _move(self, key: str, move: Any) -> tuple[State | None, State | None]:
        """The states before and after a move."""
        words = [word.strip() for word in self._typed(key, move, str, _MOVE).split("->")]
        if len(words) != 2 or words[0] == words[1] or not set(words) <= _STATES.keys():
            self._bad(key, shown(move), f"{_MOVE}; the states are {', '.join(_STATES)}", "correct it")
        return _STATES[words[0]], _STATES[words[1]]

    # -- what the statements do not say ----------------------------------------------------------------------------

    def _leases(self, lease: Any, *, holds: bool) -> tuple[Lease, ...]:
        """The leases that the file declares; empty if it declares none."""
        table = self._typed("lease", lease, dict, "a table with `kind`")
        self._known("lease", table, ("kind",))
        kind = self._one_of("lease.kind", table.get("kind"), tuple(Lease))
        if kind is None:
            return (Lease.TRANSACTION,) if holds else ()
        if holds and kind != Lease.TRANSACTION:
            self._bad("lease.kind", shown(kind), "'transaction', as the claim holds its transaction", "correct it")
        if kind == Lease.TRANSACTION and not holds:
            self._bad("lease.kind", shown(kind), "`holds_transaction = true` beside the claim's statements", "add it")
        return (Lease(kind),)

    def _habits(self, worker: Any, operations: Mapping[str, FileProgram]) -> Habits:
        table = self._typed("worker", worker, dict, "a table of what a worker does")
        self._known("worker", table, ("names", "after_lost_settlement", "unlock", "settles"))
        found = {
            key: self._one_of(f"worker.{key}", table.get(key), words) or words[0] for key, words in _WORKER.items()
        }
        if found["after_lost_settlement"] == AfterLost.FAIL and FAIL.name not in operations:
            self._bad("worker.after_lost_settlement", repr("fail"), "operations.fail, which it runs", "add it")
        settles_all = found["settles"] == "all"
        other = "job" if settles_all else "jobs"
        against = next(
            (name for name in SETTLEMENTS if name in operations and _is_about(operations[name], other)), None
        )
        if "settles" in table and against is not None:
            expected = (
                "%(jobs)s, an array, or another column of the claim, such as a token of the batch"
                if settles_all
                else "%(job)s, or 'all'"
            )
            found_there = f"{shown(found['settles'])}, and %({other})s in operations.{against}"
            self._bad("worker.settles", found_there, expected, "write what the worker does")
        return Habits(
            settles_all=settles_all,
            keeps_name=found["names"] == "kept",
            after_lost=AfterLost(found["after_lost_settlement"]),
            unlocks=Unlocks(found["unlock"]),
        )


def _is_about(program: FileProgram, parameter: str) -> bool:
    """Whether a settlement names its job or jobs by this parameter; if it has both parameters, `jobs` counts."""
    return parameter in program.parameters and not (parameter == "job" and "jobs" in program.parameters)


def around(operations: Mapping[str, FileProgram]) -> dict[str, FileProgram]:
    """The operations for a claim that leaves its transaction open: a settlement ends it, others run inside it."""
    places = {
        name: Place.ENDS if known.settles else Place.INSIDE for name, known in OPERATIONS.items() if known.holders
    }
    return {name: evolve(program, place=places.get(name, program.place)) for name, program in operations.items()}


def kinds(operations: Mapping[str, FileProgram], delivery: str | None) -> Catalogue[Operation]:
    """The kind of each operation: of the common ones, as the file changes them, and of the file's own ones."""
    common = operations_of(delivery)
    own = {name: program.kind for name, program in operations.items() if program.kind is not None}
    if CLAIM.name in own and common is not OPERATIONS:
        own[CLAIM.name] = ending_at_once(own[CLAIM.name])
    return Catalogue({**common, **own}.values()) if own else common
