"""An operation that is described by its SQL: statements, compiled once to `$1` form, run one after the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg
from attrs import evolve, frozen
from psycopg import AsyncRawCursor
from psycopg.pq import TransactionStatus

from pgqmodel.errors import TargetError
from pgqmodel.operations import OPERATIONS, Operation, Role, ServerAnswer, Status
from pgqmodel.target.kinds import leaves_mark
from pgqmodel.target.target import Reply
from pgqmodel.target.told import TRANSACTION, Asked, ask
from pgqmodel.wire.sql import bare

__all__ = ["Statement", "Statements", "compile_statement"]

_PARAMETER = re.compile(r"%(?:%|\((\w+)\)s)")
_POSITIONAL = re.compile(r"(?<![\w$])\$\d+|%s\b")
_WRONG_SQL = ("42", "0A", "3F", "25001", "25P01")
"""Errors, by class or code, that a statement gives because it is wrong or misplaced, not because of what it met."""
_NO_OPERATION = Operation(name="", role=Role.PRODUCER)
"""How a program is judged that is no operation, such as one that adds several jobs at once."""


@frozen(kw_only=True)
class Statement:
    """One statement: where it stands in the file, its SQL with `$1`, and the names of its parameters in order."""

    where: str
    sql: str
    names: tuple[str, ...]


def compile_statement(where: str, sql: str) -> Statement:
    """Turn psycopg's `%(name)s` into `$1`; the same name gets the same number. TargetError for `$1` as it stands."""
    names: list[str] = []
    positional = _POSITIONAL.search(bare(sql))
    if positional is not None:
        message = (
            f"{where}: found the parameter {positional.group()}; expected parameters by name, such as %(job)s or "
            "%(worker)s. Put the name of what is meant in its place: docs/target-format.md lists them"
        )
        raise TargetError(message)

    def number(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return Statement(where=where, sql=_PARAMETER.sub(number, sql), names=tuple(names))


@frozen(kw_only=True)
class Statements:
    """A program of SQL statements; with `transaction` between BEGIN and COMMIT, else each commits by itself."""

    name: str
    statements: tuple[Statement, ...]
    transaction: bool = False
    isolation: str | None = None
    kind: Operation | None = None
    """What it is, if its name alone does not say so."""

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters it takes."""
        return frozenset(name for statement in self.statements for name in statement.names)

    @property
    def leaves_mark(self) -> bool:
        """Whether its session is another one afterwards: settings, listening, prepared statements."""
        return any(leaves_mark(statement.sql) for statement in self.statements)

    async def run(
        self, connection: psycopg.AsyncConnection[Any], values: Mapping[str, Any], *, tell_transaction: bool = False
    ) -> Reply:
        """Run the statements; see the table of operations in docs/target-format.md for what counts as accepted."""
        cursor = AsyncRawCursor(connection)
        try:
            if tell_transaction:
                return await self._run_telling(connection, dict(values))
            return await self._run_all(cursor, dict(values))
        except psycopg.Error as error:
            if connection.closed or connection.broken or error.sqlstate is None:
                raise
            if connection.info.transaction_status is not TransactionStatus.IDLE:
                await cursor.execute("ROLLBACK")
            return Reply(status=Status.ERROR, error=error.sqlstate)

    async def _run_all(self, cursor: AsyncRawCursor[Any], values: dict[str, Any]) -> Reply:
        """Every statement, between the BEGINs and COMMITs that the description asks for."""
        begin = f"BEGIN ISOLATION LEVEL {self.isolation}" if self.isolation else "BEGIN"
        last = len(self.statements) - 1
        row: dict[str, Any] = {}
        for position, statement in enumerate(self.statements):
            each = self.isolation is not None and not self.transaction
            if each or (self.transaction and position == 0):
                await cursor.execute(begin)
            found, touched = await _execute(cursor, statement, values)
            columns = [column.name for column in cursor.description or ()]
            row |= dict(zip(columns, found or (), strict=False))
            values |= row
            missing = found is None and self._needs(position, columns)
            if each or (self.transaction and (missing or position == last)):
                await cursor.execute("COMMIT")
            if missing:
                return Reply(status=self._nothing)
        return self._judge(found, touched, row)

    async def _run_telling(self, connection: psycopg.AsyncConnection[Any], values: dict[str, Any]) -> Reply:
        """As `_run_all`, and where a transaction ends, it is asked for its identifier in the same round trip."""
        begin = f"BEGIN ISOLATION LEVEL {self.isolation}" if self.isolation else "BEGIN"
        last = len(self.statements) - 1
        row: dict[str, Any] = {}
        transaction = None
        for position, statement in enumerate(self.statements):
            each = self.isolation is not None and not self.transaction
            if each or (self.transaction and position == 0):
                await ask(connection, (begin, ()))
            asked: list[Asked] = [(statement.sql, [values[name] for name in statement.names])]
            if not each and not self.transaction:
                asked.append((TRANSACTION, ()))
            cursor, *told = await _ask(connection, statement, asked)
            found, touched = (await cursor.fetchone() if cursor.description else None), cursor.rowcount
            columns = [column.name for column in cursor.description or ()]
            row |= dict(zip(columns, found or (), strict=False))
            values |= row
            missing = found is None and self._needs(position, columns)
            if each or (self.transaction and (missing or position == last)):
                told = (await ask(connection, (TRANSACTION, ()), ("COMMIT", ())))[:1]
            transaction = await _transaction(told) or transaction
            if missing:
                return Reply(status=self._nothing, transaction=transaction)
        return evolve(self._judge(found, touched, row), transaction=transaction)

    def _needs(self, position: int, columns: list[str]) -> bool:
        """Whether a later statement needs a column of a row that did not come."""
        return any(set(columns) & set(later.names) for later in self.statements[position + 1 :])

    @property
    def _nothing(self) -> Status:
        return self._kind.nothing

    @property
    def _kind(self) -> Operation:
        return self.kind or OPERATIONS.get(self.name, _NO_OPERATION)

    def _judge(self, found: tuple[Any, ...] | None, touched: int, row: dict[str, Any]) -> Reply:
        """Whether the queue accepted the operation."""
        accepted = self._kind.accepts(ServerAnswer(found, touched, row))
        return Reply(status=Status.OK if accepted else self._nothing, row=row if accepted else {})


async def _ask(
    connection: psycopg.AsyncConnection[Any], statement: Statement, asked: list[Asked]
) -> list[AsyncRawCursor[Any]]:
    """Run a statement and what goes with it; a statement that is wrong is the target's fault."""
    try:
        return await ask(connection, *asked)
    except _BLAMED as error:
        raise _blame(statement, error) from error


async def _transaction(told: list[AsyncRawCursor[Any]]) -> int | None:
    """The transaction that was told, if there was one."""
    row = await told[0].fetchone() if told else None
    return int(row[0]) if row is not None and row[0] is not None else None


async def _execute(
    cursor: AsyncRawCursor[Any], statement: Statement, values: Mapping[str, Any]
) -> tuple[tuple[Any, ...] | None, int]:
    """Run a statement: its first row, and how many rows it touched."""
    try:
        await cursor.execute(statement.sql, [values[name] for name in statement.names])
    except _BLAMED as error:
        raise _blame(statement, error) from error
    try:
        return (await cursor.fetchone() if cursor.description else None), cursor.rowcount
    except psycopg.DataError as error:
        raise _blame(statement, error) from error


_BLAMED = (psycopg.ProgrammingError, psycopg.NotSupportedError, psycopg.InternalError)
"""Not a DataError: a value that cannot be sent, such as a NUL in a text, is its caller's fault and not the target's."""


def _blame(statement: Statement, error: psycopg.Error) -> Exception:
    """A statement that is wrong, or whose values psycopg cannot carry, is the target's fault; else it is an answer."""
    if error.sqlstate is None:
        message = (
            f"{statement.where}: its values cannot be sent or read: {error}; expected plain ones. Cast them to text"
        )
        return TargetError(message)
    if not error.sqlstate.startswith(_WRONG_SQL):
        return error
    reason = (error.diag.message_primary or str(error)).strip()
    message = (
        f"{statement.where}: Postgres refuses the statement: {reason}; expected SQL that runs on the set-up's schema"
    )
    return TargetError(message)
