"""Trying a target's SQL on its schema before anything is run: Postgres parses every statement.

What a file alone cannot show is found here: SQL that Postgres cannot parse, parameters that nothing provides, columns
that a promise needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

from pgqmodel.errors import TargetError
from pgqmodel.operations import OPERATIONS, Role
from pgqmodel.promises import PROMISES
from pgqmodel.target.program import Statement, Statements
from pgqmodel.target.target import Limit, Target

if TYPE_CHECKING:
    from pgqmodel.server import SideConnection

__all__ = ["describe"]

_REQUIRED = {
    "jobs": ("job", "state"),
    "runs": ("run", "state"),
    "environments": ("environment", "version"),
    "logs": ("job", "sequence", "line"),
}


def describe(target: Target, side: SideConnection) -> Target:
    """The target, once every statement of it was parsed on its schema; TargetError for the first that does not fit."""
    columns = {name: _describe_query(target, name, sql, side) for name, sql in target.observe.queries.items()}
    _check_promises(target, columns)
    claimed = _describe_operation(target, "claim", frozenset(), side)
    for name in target.operations:
        holder = OPERATIONS[name].role is Role.WORKER and name != "claim"
        _describe_operation(target, name, claimed if holder else frozenset(), side)
    return target


def _describe_query(target: Target, name: str, sql: str, side: SideConnection) -> tuple[str, ...]:
    where = f"{target.source}: observe.{name}"
    columns = side.describe(sql, where)
    for needed in _REQUIRED[name]:
        if needed not in columns:
            _refuse(
                where, f"no column {needed!r}", f"{' and '.join(_REQUIRED[name])} among its columns", "name it with AS"
            )
    return columns


def _check_promises(target: Target, columns: dict[str, tuple[str, ...]]) -> None:
    for name, value in target.promises.items():
        needed = [column.partition(".")[::2] for column in PROMISES[name].columns]
        if name == "claim-order":
            needed = [("jobs", column) for column, _ in value]
        if isinstance(value, Limit):
            needed = [("jobs", value.column)]
        for query, column in needed:
            if column not in columns[query]:
                where = f"{target.source}: promises.{name}"
                _refuse(
                    where,
                    f"no column {column!r} in observe.{query}",
                    "the columns it is judged by",
                    "add it to the query",
                )


def _describe_operation(target: Target, name: str, claimed: frozenset[str], side: SideConnection) -> frozenset[str]:
    """Parse an operation's statements in order; the columns that it returns."""
    program = target.operations[name]
    returned: frozenset[str] = frozenset()
    if not isinstance(program, Statements):
        return returned
    provided = {"worker", *OPERATIONS[name].parameters, *target.settings} | claimed
    for statement in program.statements:
        _check_parameters(statement, provided)
        columns = side.describe(statement.sql, statement.where)
        provided |= set(columns)
        returned |= set(columns)
    if name in {"claim", "enqueue"} and "job" not in returned:
        _refuse(
            program.statements[-1].where, "no column 'job' in what it returns", "the job's identifier AS job", "add it"
        )
    return returned


def _check_parameters(statement: Statement, provided: Iterable[str]) -> None:
    for name in statement.names:
        if name not in provided:
            _refuse(
                statement.where,
                f"the parameter %({name})s, which nothing provides",
                f"one of {', '.join(sorted(provided))}",
                "name one of these, or have an earlier statement return it",
            )


def _refuse(where: str, found: str, expected: str, remedy: str) -> NoReturn:
    message = f"{where}: found {found}; expected {expected}. To go on: {remedy}"
    raise TargetError(message)
