"""An operation described by its SQL: its statements, compiled once to `$1` form, and the meaning of their answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import psycopg
from attrs import evolve, frozen

from pgqmodel.errors import TargetError
from pgqmodel.operations import OPERATIONS, Operation, Role, ServerAnswer, Status
from pgqmodel.target.execution import Execution
from pgqmodel.target.kinds import changes_data, leaves_mark, steers
from pgqmodel.target.target import Reply
from pgqmodel.wire.sql import bare

__all__ = ["Place", "Statement", "Statements", "compile_statement"]

_PARAMETER = re.compile(r"%(?:%|\((\w+)\)s)")
_POSITIONAL = re.compile(r"(?<![\w$])\$\d+|%s\b")
_RAISED = "P0"
"""The class of errors that a queue itself raises, with RAISE in PL/pgSQL."""
_NO_OPERATION = Operation(name="", role=Role.PRODUCER)
"""The kind of a program that is no operation, such as one that adds several jobs at once."""


class Place(StrEnum):
    """The relation of a program to a transaction that stays open from a claim to its settlement."""

    APART = "apart"
    """There is no such transaction, or it does not concern this program."""
    OPENS = "opens it"
    INSIDE = "runs inside"
    ENDS = "ends it"


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
class Statements:
    """A program of SQL statements; with `transaction` between BEGIN and COMMIT, else each commits by itself.

    `expects_row`: if a statement touches no row, everything is rolled back and the operation is refused. `refused_by`
    are further SQLSTATEs that mean a refusal, beside those that the queue raises itself. After one of `retried_on`
    the program is run again, up to `retries` times.
    """

    name: str
    statements: tuple[Statement, ...]
    transaction: bool = False
    isolation: str | None = None
    place: Place = Place.APART
    expects_row: bool = False
    refused_by: frozenset[str] = frozenset()
    retried_on: frozenset[str] = frozenset()
    retries: int = 0
    kind: Operation | None = None
    """The kind of operation, if its name alone does not tell."""

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters it takes."""
        return frozenset(name for statement in self.statements for name in statement.names)

    @property
    def leaves_mark(self) -> bool:
        """Whether it changes its session: settings, listening, prepared statements, an open transaction."""
        return self.place is Place.OPENS or any(leaves_mark(statement.sql) for statement in self.statements)

    @property
    def begin(self) -> str:
        """The statement that begins its transaction."""
        return f"BEGIN ISOLATION LEVEL {self.isolation}" if self.isolation else "BEGIN"

    @property
    def each(self) -> bool:
        """Whether each statement runs in a transaction of its own with an isolation level."""
        return self.isolation is not None and not self.transaction and self.place is Place.APART

    @property
    def is_inside(self) -> bool:
        """Whether it runs inside a transaction that another program ends."""
        return self.place is Place.INSIDE

    def begins(self, position: int) -> bool:
        """Whether a BEGIN comes before the statement at `position`."""
        return self.each or (position == 0 and (self.transaction or self.place is Place.OPENS))

    def needs_later(self, position: int, columns: list[str]) -> bool:
        """Whether a statement after the one at `position` needs one of the columns that this one returns."""
        return any(set(columns) & set(later.names) for later in self.statements[position + 1 :])

    def stays_open(self, answer: ServerAnswer) -> bool:
        """Whether its transaction stays open for the settlement to end."""
        return self.is_inside or (self.place is Place.OPENS and self._operation.accepts(answer))

    @property
    def _operation(self) -> Operation:
        return self.kind or OPERATIONS.get(self.name, _NO_OPERATION)

    async def run(
        self, connection: psycopg.AsyncConnection[Any], values: Mapping[str, Any], *, tell_transaction: bool = False
    ) -> Reply:
        """Run the statements; the table of operations in docs/target-format.md says which answers mean accepted."""
        reply = await self._run_once(connection, values, tell_transaction)
        for _ in range(self.retries):
            if reply.error not in self.retried_on:
                break
            reply = await self._run_once(connection, values, tell_transaction)
        return reply

    async def _run_once(
        self, connection: psycopg.AsyncConnection[Any], values: Mapping[str, Any], tell_transaction: bool
    ) -> Reply:
        run = Execution(program=self, connection=connection, values=dict(values), tell=tell_transaction)
        try:
            answer = await run.go()
        except psycopg.Error as error:
            if connection.closed or connection.broken or error.sqlstate is None:
                raise
            await run.roll_back()
            return Reply(status=self._status(error.sqlstate), error=error.sqlstate)
        return evolve(self._reply(run, answer), transaction=run.transaction)

    def _status(self, sqlstate: str) -> Status:
        """The status for an error: a refusal by the queue, or a failure."""
        raised = sqlstate.startswith(_RAISED) and self._operation.nothing is Status.REFUSED
        return self._operation.nothing if raised or sqlstate in self.refused_by else Status.ERROR

    def _reply(self, run: Execution, answer: ServerAnswer | None) -> Reply:
        """Whether the queue accepted the operation, and with which jobs."""
        if answer is None or not self._operation.accepts(answer):
            return Reply(status=self._operation.nothing)
        return Reply(status=Status.OK, row=run.row, also=tuple(run.row | row for row in run.jobs[1:]))
