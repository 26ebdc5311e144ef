"""Tries a target's SQL on its schema before anything is run: Postgres parses every statement.

Here faults are found that a file alone does not show: SQL that Postgres cannot parse, parameters without a value,
columns that a promise needs and that are missing or cannot be compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from attrs import evolve

from pgqmodel.errors import TargetError
from pgqmodel.operations import CLAIM, Lease
from pgqmodel.promises import ORDER, PROMISES
from pgqmodel.target.described import Place
from pgqmodel.target.function import Function
from pgqmodel.target.kinds import MOMENT, MOMENTS, SORTABLE, TEXT_ARRAY, TEXTS, UNSENT, opens, sent_as, type_of, unfit
from pgqmodel.target.program import Statement, Statements
from pgqmodel.target.target import Target

if TYPE_CHECKING:
    from pgqmodel.server import SideConnection

__all__ = ["describe"]

_REQUIRED = {
    "jobs": ("job", "state"),
    "runs": ("run", "state"),
    "environments": ("environment", "version"),
    "logs": ("job", "sequence", "line"),
}
_NUMBERS = ("priority", "stage")
_ENUM = """
SELECT ARRAY(SELECT enumlabel::text FROM pg_catalog.pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) AS labels,
  pg_catalog.format_type(t.oid, NULL) AS name
FROM pg_catalog.pg_type AS t WHERE t.oid = $1
"""
_COLLATION = """
SELECT pg_catalog.pg_collation_for((SELECT q.{column} FROM ({sql}
) AS q LIMIT 1)) AS own, datcollate AS general, datlocprovider::text = 'i' AS icu
FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
"""
_BYTEWISE = re.compile(r"(pg_catalog\.)?\"?(C|POSIX|C\.(UTF-?8|utf8)|ucs_basic|pg_c_utf8|pg_unicode_fast)\"?")


def describe(target: Target, side: SideConnection) -> Target:
    """The target, completed with facts from its schema; TargetError for the first statement that does not fit."""
    columns = {name: _describe_query(target, name, sql, side) for name, sql in target.observe.queries.items()}
    _check_promises(target, columns)
    if Lease.UNTIL in target.leases and "lease_until" not in columns["jobs"]:
        where = f"{target.source}: lease.kind"
        _refuse(where, "'until'", "lease_until among the columns of observe.jobs", "name the moment with AS there")
    enums = _describe_order(target, columns["jobs"], side)
    settings = {name: type_of(value) for name, value in target.settings.items()}
    claimed: dict[str, int] = {}
    for columns_of_one in (
        _describe_operation(target, CLAIM.name, settings, side) if CLAIM.name in target.operations else ()
    ):
        claimed |= sent_as(columns_of_one)
    returns = {
        name: tuple(
            tuple(each)
            for each in _describe_operation(
                target, name, settings | claimed if target.kinds[name].holders else settings, side
            )
        )
        for name in target.operations
    }
    moments = tuple(name for name in target.named if columns["jobs"][name] in MOMENTS)
    names = {query: frozenset(described) for query, described in columns.items()}
    return evolve(target, enums=enums, moments=moments, columns=names, returns=returns)


def _describe_query(target: Target, name: str, sql: str, side: SideConnection) -> dict[str, int]:
    where = f"{target.source}: observe.{name}"
    columns = side.describe(sql, where)
    for needed in _REQUIRED[name]:
        if needed not in columns:
            _refuse(
                where, f"no column {needed!r}", f"{' and '.join(_REQUIRED[name])} among its columns", "name it with AS"
            )
    return columns


def _check_promises(target: Target, columns: Mapping[str, Mapping[str, int]]) -> None:
    for name, value in target.promises.items():
        promise = PROMISES[name]
        needed = [column.partition(".")[::2] for column in promise.columns]
        needed += [("jobs", column) for column in promise.value.columns(value)]
        for query, column in needed:
            if column not in columns[query]:
                where = f"{target.source}: promises.{name}"
                _refuse(
                    where,
                    f"no column {column!r} in observe.{query}",
                    "the columns it is judged by",
                    "add it to the query",
                )


def _describe_order(target: Target, columns: Mapping[str, int], side: SideConnection) -> dict[str, tuple[str, ...]]:
    """The labels of the enums among an order's columns; TargetError for a column that we cannot sort like Postgres."""
    enums = {}
    ordered = [(name, value) for name, value in target.promises.items() if PROMISES[name].value is ORDER]
    for name, column in ((name, column) for name, value in ordered for column in ORDER.columns(value)):
        where = f"{target.source}: promises.{name}"
        if columns[column] in TEXTS:
            _check_collation(where, column, target.observe.jobs, side)
        elif columns[column] not in SORTABLE:
            (found,) = side.query(_ENUM, (columns[column],))
            if not found["labels"]:
                _refuse(
                    where,
                    f"the column {column!r} of observe.jobs, which is of the type {found['name']}",
                    "a number, a time, a text, a boolean, an enum, bytea or uuid, whose order is known",
                    "cast it in the query, or leave the column out of the promise",
                )
            enums[column] = tuple(found["labels"])
    return enums


def _check_collation(where: str, column: str, sql: str, side: SideConnection) -> None:
    """Refuse texts with a collation of a language: we compare texts by the numbers of their characters."""
    quoted = '"' + column.replace('"', '""') + '"'
    (found,) = side.query(_COLLATION.format(column=quoted, sql=sql))
    own = found["own"]
    if own in {None, '"default"', 'pg_catalog."default"'}:
        own = "an ICU collation" if found["icu"] else found["general"]
    if not _BYTEWISE.fullmatch(own):
        _refuse(
            where,
            f"the column {column!r} of observe.jobs, a text that sorts by {own}",
            "one that sorts by its characters' codes",
            f'write {column} COLLATE "C" there and in the claim, or leave the column out of the promise',
        )


def _describe_operation(
    target: Target, name: str, given: Mapping[str, int], side: SideConnection
) -> list[dict[str, int]]:
    """Parse an operation's statements in order, with the types that they will get; the columns that each returns."""
    program = target.operations[name]
    if not isinstance(program, Statements | Function):
        return []
    own = {parameter: type_of(0) if parameter in _NUMBERS else 0 for parameter in target.kinds[name].parameters}
    provided = {"now": MOMENT, **own, **given, "worker": 0} | ({"job": 0} if "job" in own else {})
    if target.kinds[name].holders:
        provided["jobs"] = TEXT_ARRAY
        if isinstance(target.operations[CLAIM.name], Function):  # what it returns is known when it has run
            provided = dict.fromkeys(program.parameters, 0) | provided
    if isinstance(program, Function):
        _check_names(program, provided)
        return []
    returned: list[dict[str, int]] = [{} for _ in program.statements]
    _check_transactions(program)
    for position, statement in enumerate(program.statements):
        reason = unfit(statement.sql)
        if reason is not None:
            _refuse(statement.where, *reason)
        if statement.is_control:
            continue
        _check_parameters(statement, provided)
        columns = side.describe(statement.sql, statement.where, [provided[name] for name in statement.names])
        provided |= sent_as(columns)
        returned[position] = columns
        if "job" in columns:
            provided["jobs"] = TEXT_ARRAY
    return returned


def _check_transactions(program: Statements) -> None:
    """Follow BEGIN and COMMIT among the statements: a program must end outside a transaction, or declare it."""
    given = program.transaction or program.place is not Place.APART
    is_open = given
    for statement in program.statements:
        if not statement.is_control:
            continue
        if program.transaction or (program.isolation is not None and not given):
            key = "transaction = true" if program.transaction else f'isolation = "{program.isolation}"'
            _refuse(
                statement.where,
                f"{statement.sql}, and {key} beside it",
                "one of the two to say where the transaction begins and ends",
                "take the statement out, and write `transaction = true`",
            )
        if opens(statement.sql) == is_open and not (is_open and program.place is Place.OPENS):
            state = "inside of a transaction" if is_open else "where no transaction is open"
            _refuse(
                statement.where,
                f"{statement.sql} {state}",
                "a COMMIT for each BEGIN, in the same operation",
                "mend the list; where the claim's transaction stays open until the settlement, write "
                "`holds_transaction = true` beside the claim's statements",
            )
        is_open = opens(statement.sql)
    if is_open and not given:
        _refuse(
            program.statements[-1].where,
            "a transaction that is left open",
            "a COMMIT at the end, or a transaction that the settlement ends",
            "write the COMMIT, or `holds_transaction = true` beside the statements of a claim that stays open",
        )


def _check_parameters(statement: Statement, provided: Mapping[str, int]) -> None:
    for name in statement.names:
        if name not in provided:
            _refuse(
                statement.where,
                f"the parameter %({name})s, which nothing provides",
                f"one of {', '.join(sorted(provided))}",
                "name one of these, or have an earlier statement return it",
            )
        if provided[name] == UNSENT:
            _refuse(
                statement.where,
                f"the parameter %({name})s, which an earlier statement returns as JSON",
                "a text, a number, or another value that can be handed back",
                f"cast it where it is returned: {name}::text AS {name}",
            )


def _check_names(function: Function, provided: Mapping[str, int]) -> None:
    for name in function.names:
        if name not in provided:
            _refuse(
                function.where,
                f"the parameter {name!r} of {function.source.name}, which nothing provides",
                f"`connection`, and then any of {', '.join(sorted(provided))}",
                "name one of these, or name a function that calls this one",
            )


def _refuse(where: str, found: str, expected: str, remedy: str) -> NoReturn:
    message = f"{where}: found {found}; expected {expected}. To go on: {remedy}"
    raise TargetError(message)
