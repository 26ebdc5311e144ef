"""What the operations of a file have in common, whether they are statements or a function: a kind, errors, retries."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import psycopg
from attrs import frozen

from pgqmodel.errors import TargetError
from pgqmodel.operations import OPERATIONS, Operation, Role, ServerAnswer, Status
from pgqmodel.target.kinds import leaves_mark
from pgqmodel.target.target import Reply

__all__ = ["FileProgram", "Place", "blame"]

_RAISED = "P0"
"""The class of errors that a queue itself raises, with RAISE in PL/pgSQL."""
_WRONG_SQL = ("42", "0A", "3F", "25001", "25P01")
"""Classes and codes of errors that show a wrong or misplaced statement, whatever data it meets."""
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
class FileProgram:
    """One operation of a file.

    `refused_by` are SQLSTATEs that mean a refusal, beside those that the queue raises itself. After one of `retried_on`
    the program is run again, up to `retries` times.
    """

    name: str
    isolation: str | None = None
    place: Place = Place.APART
    refused_by: frozenset[str] = frozenset()
    retried_on: frozenset[str] = frozenset()
    retries: int = 0
    kind: Operation | None = None
    """The kind of operation, if its name alone does not tell."""

    @property
    def is_inside(self) -> bool:
        """Whether it runs inside a transaction that another program ends."""
        return self.place is Place.INSIDE

    def stays_open(self, answer: ServerAnswer) -> bool:
        """Whether its transaction stays open for the settlement to end."""
        return self.is_inside or (self.place is Place.OPENS and self.operation.accepts(answer))

    @property
    def operation(self) -> Operation:
        """The kind of operation that it is."""
        return self.kind or OPERATIONS.get(self.name, _NO_OPERATION)

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters it takes."""
        raise NotImplementedError

    @property
    def texts(self) -> tuple[str, ...]:
        """The SQL that it may run, as far as it is known before it is run."""
        raise NotImplementedError

    @property
    def leaves_mark(self) -> bool:
        """Whether it changes its session: settings, listening, prepared statements, an open transaction."""
        return self.place is Place.OPENS or any(map(leaves_mark, self.texts))

    async def run(
        self, connection: psycopg.AsyncConnection[Any], values: Mapping[str, Any], *, tell_transaction: bool = False
    ) -> Reply:
        """Run it; the table of operations in docs/target-format.md says which answers mean accepted."""
        reply = await self._run_once(connection, values, tell_transaction, 0)
        for attempt in range(1, self.retries + 1):
            if reply.error not in self.retried_on:
                break
            reply = await self._run_once(connection, values, tell_transaction, attempt)
        return reply

    async def _run_once(
        self, connection: psycopg.AsyncConnection[Any], values: Mapping[str, Any], tell_transaction: bool, attempt: int
    ) -> Reply:
        raise NotImplementedError

    def _failed(self, sqlstate: str) -> Reply:
        """The reply for an error of the database: a refusal by the queue, or a failure."""
        raised = sqlstate.startswith(_RAISED) and self.operation.nothing is Status.REFUSED
        refused = raised or sqlstate in self.refused_by
        return Reply(status=self.operation.nothing if refused else Status.ERROR, error=sqlstate)


def blame(where: str, error: psycopg.Error) -> Exception:
    """The error to raise: TargetError if the statement at `where` is wrong, else `error`."""
    if not (error.sqlstate or "").startswith(_WRONG_SQL):
        return error
    reason = (error.diag.message_primary or str(error)).strip()
    message = f"{where}: Postgres refuses the statement: {reason}; expected SQL that runs on the set-up's schema"
    return TargetError(message)
