"""One run of a program: its statements one after the other, with BEGIN and COMMIT where the program has them.

If a statement finds no row and a later one needs its columns, the run ends there. A transaction that is still open at
the end is committed, except that of a claim that stays open until its settlement, and of operations inside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from attrs import define, field
from psycopg import AsyncRawCursor
from psycopg.pq import TransactionStatus

from pgqmodel.errors import TargetError
from pgqmodel.operations import ServerAnswer
from pgqmodel.target.described import blame
from pgqmodel.target.kinds import is_void, opens
from pgqmodel.target.told import TRANSACTION, Asked, ask

if TYPE_CHECKING:
    from pgqmodel.target.program import Statement, Statements

__all__ = ["Execution"]

_BLAMED = (psycopg.ProgrammingError, psycopg.NotSupportedError, psycopg.InternalError)
"""No DataError: if a value cannot be sent, such as a text with NUL, the caller is at fault and not the target."""
_COMPUTED = ("SELECT", "CALL")
"""The beginnings of the tags of commands that compute rows and change none."""


@define(kw_only=True)
class Execution:
    """One run of a program, with the rows of its statements so far.

    With `tell` the server is asked for the identifier of each transaction.
    """

    program: Statements
    connection: psycopg.AsyncConnection[Any]
    values: dict[str, Any]
    tell: bool = False
    row: dict[str, Any] = field(factory=dict)
    """The columns of each statement's first row, by name; a later statement replaces columns of the same name."""
    jobs: list[dict[str, Any]] = field(factory=list)
    """Every row of the last statement that returned jobs."""
    transaction: int | None = None
    _found: tuple[Any, ...] | None = None
    _touched: int = -1
    """The rows touched by the last statement that tells a number of rows; below 0 before the first such statement."""
    _computed: bool = False
    _changes: list[int] = field(factory=list)
    """For each statement that changes rows found by an earlier one, the number of rows that it touched."""

    @property
    def is_open(self) -> bool:
        """Whether the session is in a transaction."""
        return self.connection.info.transaction_status is not TransactionStatus.IDLE

    async def go(self) -> ServerAnswer | None:
        """Run the statements. Return the answer, or None if a needed row was missing."""
        program = self.program
        for position, statement in enumerate(program.statements):
            if statement.is_control:
                if not (opens(statement.sql) and self.is_open):
                    await self._control(statement.sql)
                continue
            if program.begins(position) and not self.is_open:
                await self._control(program.begin)
            columns = await self._execute(statement)
            if program.each:
                await self._commit()
            if program.expects_row and self._found is None and self._touched == 0:
                await self._end("ROLLBACK")
                return None
            if self._found is None and program.needs_later(position, columns):
                await self._end("COMMIT")
                return None
        in_vain = bool(self._changes) and not any(self._changes)
        answer = ServerAnswer(self._found, self._touched, self.row, in_vain, self._computed)
        if not program.stays_open(answer):
            await self._end("COMMIT")
        return answer

    async def roll_back(self) -> None:
        """End a transaction that an error has left open."""
        if self.is_open:
            await self._control("ROLLBACK")

    # -- transactions ----------------------------------------------------------------------------------------------

    async def _control(self, sql: str) -> None:
        if self.tell:
            await ask(self.connection, (sql, ()))
        else:
            await AsyncRawCursor(self.connection).execute(sql)

    async def _end(self, how: str) -> None:
        """End the transaction, if there is one, unless it belongs to another program."""
        if not self.is_open or self.program.is_inside:
            return
        if how == "COMMIT":
            await self._commit()
        else:
            await self._control(how)

    async def _commit(self) -> None:
        if self.tell:
            told = (await ask(self.connection, (TRANSACTION, ()), ("COMMIT", ())))[:1]
            self.transaction = await _transaction(told) or self.transaction
        else:
            await self._control("COMMIT")

    # -- statements ------------------------------------------------------------------------------------------------

    async def _execute(self, statement: Statement) -> list[str]:
        """Run one statement and keep its rows. Return the names of its columns."""
        if len(self.jobs) > 1 and set(statement.names) & self.jobs[0].keys():
            del self.jobs[1:]  # later statements use the first row, so the other jobs do not count
        cursor = await self._ask(statement)
        try:
            rows = await cursor.fetchall() if cursor.description else []
        except psycopg.DataError as error:
            raise _blame(statement, error) from error
        columns = [column.name for column in cursor.description or ()]
        if statement.changes_data and set(statement.names) & self.row.keys():
            self._changes.append(cursor.rowcount)
        if cursor.rowcount >= 0 and not is_void(column.type_code for column in cursor.description or ()):
            self._found, self._touched = (rows[0] if rows else None), cursor.rowcount
            self._computed = (cursor.statusmessage or "").startswith(_COMPUTED)
        self._keep(columns, rows)
        return columns

    def _keep(self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        self.row |= dict(zip(columns, rows[0], strict=True)) if rows else dict.fromkeys(columns)
        if "job" in columns:
            self.jobs = [dict(zip(columns, row, strict=True)) for row in rows]
            self.values["jobs"] = [str(row["job"]) for row in self.jobs]
        self.values |= self.row

    def _value(self, statement: Statement, name: str) -> Any:
        """The value of a parameter. What a claim gives is known before it is run, unless it is a function."""
        if name in self.values:
            return self.values[name]
        message = (
            f"{statement.where}: found the parameter %({name})s, which the claim of this job did not return; expected "
            f"one of {', '.join(sorted(self.values))}. To go on: name one of these, or have the claim return it"
        )
        raise TargetError(message)

    async def _ask(self, statement: Statement) -> AsyncRawCursor[Any]:
        """Run a statement; if it is wrong, the target is at fault."""
        parameters = [self._value(statement, name) for name in statement.names]
        try:
            if not self.tell:
                cursor = AsyncRawCursor(self.connection)
                await cursor.execute(statement.sql, parameters)
                return cursor
            asked: list[Asked] = [(statement.sql, parameters)]
            if not self.is_open:
                asked.append((TRANSACTION, ()))
            cursor, *told = await ask(self.connection, *asked)
        except _BLAMED as error:
            raise _blame(statement, error) from error
        self.transaction = await _transaction(told) or self.transaction
        return cursor


async def _transaction(told: Sequence[AsyncRawCursor[Any]]) -> int | None:
    """The identifier of the transaction from the answer, if there is one."""
    row = await told[0].fetchone() if told else None
    return int(row[0]) if row is not None and row[0] is not None else None


def _blame(statement: Statement, error: psycopg.Error) -> Exception:
    """The error to raise: TargetError if the statement is wrong or psycopg cannot send its values, else `error`."""
    if error.sqlstate is None:
        message = (
            f"{statement.where}: its values cannot be sent or read: {error}; expected plain ones. Cast them to text"
        )
        return TargetError(message)
    return blame(statement.where, error)
