"""An operation described by its SQL: its statements, compiled once to `$1` form, and the meaning of their answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg
from attrs import evolve, frozen

from pgqmodel.errors import TargetError
from pgqmodel.operations import ServerAnswer, Status
from pgqmodel.target.described import FileProgram, Place
from pgqmodel.target.execution import Execution
from pgqmodel.target.kinds import changes_data, steers
from pgqmodel.target.target import Reply
from pgqmodel.wire.sql import bare

__all__ = ["Statement", "Statements", "compile_statement"]

_PARAMETER = re.compile(r"%(?:%|\((\w+)\)s)")
_POSITIONAL = re.compile(r"(?<![\w$])\$\d+|%s\b")


@frozen(kw_only=True)
class Statement:
    """One statement: its place in the file, its SQL with `$1`, and the names of its parameters in order.

    `is_control`: it is a BEGIN, a COMMIT or the like. `changes_data`: it is an INSERT, UPDATE or DELETE.
    """

    where: str
    sql: str
    names: tuple[str, ...]
    is_control: bool = False
    changes_data: bool = False


def compile_statement(where: str, sql: str) -> Statement:
    """Turn psycopg's `%(name)s` into `$1`; the same name gets the same number. TargetError if `$1` is in the text."""
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

    compiled = _PARAMETER.sub(number, sql)
    return Statement(
        where=where,
        sql=compiled,
        names=tuple(names),
        is_control=steers(sql),
        changes_data=changes_data(sql),
    )


@frozen(kw_only=True)
class Statements(FileProgram):
    """A program of SQL statements; with `transaction` between BEGIN and COMMIT, else each commits by itself.

    `expects_row`: if a statement touches no row, everything is rolled back and the operation is refused.
    """

    statements: tuple[Statement, ...]
    transaction: bool = False
    expects_row: bool = False

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters it takes."""
        return frozenset(name for statement in self.statements for name in statement.names)

    @property
    def texts(self) -> tuple[str, ...]:
        """The SQL of its statements."""
        return tuple(statement.sql for statement in self.statements)

    @property
    def begin(self) -> str:
        """The statement that begins its transaction."""
        return f"BEGIN ISOLATION LEVEL {self.isolation}" if self.isolation else "BEGIN"

    @property
    def each(self) -> bool:
        """Whether each statement runs in a transaction of its own with an isolation level."""
        return self.isolation is not None and not self.transaction and self.place is Place.APART

    def begins(self, position: int) -> bool:
        """Whether a BEGIN comes before the statement at `position`."""
        return self.each or (position == 0 and (self.transaction or self.place is Place.OPENS))

    def needs_later(self, position: int, columns: list[str]) -> bool:
        """Whether a statement after the one at `position` needs one of the columns that this one returns."""
        return any(set(columns) & set(later.names) for later in self.statements[position + 1 :])

    async def _run_once(
        self, connection: psycopg.AsyncConnection[Any], values: Mapping[str, Any], tell_transaction: bool, attempt: int
    ) -> Reply:
        run = Execution(program=self, connection=connection, values=dict(values), tell=tell_transaction)
        try:
            answer = await run.go()
        except psycopg.Error as error:
            if connection.closed or connection.broken or error.sqlstate is None:
                raise
            await run.roll_back()
            return self._failed(error.sqlstate)
        return evolve(self._reply(run, answer), transaction=run.transaction)

    def _reply(self, run: Execution, answer: ServerAnswer | None) -> Reply:
        """Whether the queue accepted the operation, and with which jobs."""
        if answer is None or not self.operation.accepts(answer):
            return Reply(status=self.operation.nothing)
        return Reply(status=Status.OK, row=run.row, also=tuple(run.row | row for row in run.jobs[1:]))
