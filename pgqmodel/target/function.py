"""An operation that is a function of the application: how it is called, and what its result means.

The function decides about its transactions. They are as psycopg has them by default: the first statement opens one, and
`connection.commit()` or `with connection.transaction()` ends it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NoReturn
from uuid import UUID

import psycopg
from attrs import field, frozen
from psycopg import AsyncRawCursor
from psycopg.pq import TransactionStatus

from pgqmodel.errors import TargetError
from pgqmodel.operations import ServerAnswer, Status
from pgqmodel.target.borrowed import Gone, Loan
from pgqmodel.target.described import FileProgram, Place, blame
from pgqmodel.target.file_values import refuse
from pgqmodel.target.imported import Imported
from pgqmodel.target.seeded import Turns
from pgqmodel.target.target import Reply

__all__ = ["Function"]

_ASYNCIO = ("no running event loop", "some other framework like asyncio")
"""What asyncio says where it does not run, and what Trio says of it."""


@frozen(kw_only=True)
class Function(FileProgram):
    """A program that calls a function of the application. `where` is its key in the file."""

    where: str
    source: Imported
    names: tuple[str, ...] = field(factory=tuple)
    """Its parameters, without the connection."""

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the parameters it takes."""
        return frozenset(self.names)

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts in its sources."""
        return self.source.texts

    async def _run_once(
        self, connection: psycopg.AsyncConnection[Any], values: Mapping[str, Any], tell_transaction: bool, attempt: int
    ) -> Reply:
        seed = getattr(connection, "seed", None)
        loan = Loan(owner=connection, turns=Turns(f"{seed}/{attempt}" if seed is not None else None))
        arguments = self._arguments(values)
        try:
            result = await self._call(loan, arguments)
        except Gone:
            raise self._lost from None
        except (Exception, SystemExit) as error:
            if loan.lost:
                raise self._lost from error
            await _roll_back(connection)
            return self._error(error)
        self._check_awaited(result)
        if loan.lost:
            return self._after_loss(result)
        answer = self._answer(result)
        await self._check_end(connection, answer)
        return self._reply(answer, result)

    async def _call(self, loan: Loan, arguments: Mapping[str, Any]) -> Any:
        call = loan.call_async if self.source.is_async else loan.call
        return await call(self.source.function, arguments)

    def _arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        for name in self.names:
            if name not in values:
                self._refuse(
                    f"the parameter {name!r}, which the claim of this job did not return",
                    f"one of {', '.join(sorted(values))}",
                    "name one of these, or have the claim return it",
                )
        return {name: values[name] for name in self.names}

    @property
    def _lost(self) -> psycopg.OperationalError:
        """The error of a call whose answer nobody has."""
        return psycopg.OperationalError(f"{self.source.name} has lost its connection, or its client")

    # -- how it ended ----------------------------------------------------------------------------------------------

    def _error(self, error: BaseException) -> Reply:
        """An error that the function let out: the database's own one, or one of the application."""
        place = self.source.place(error.__traceback__)
        if isinstance(error, psycopg.Error) and error.sqlstate is not None:
            blamed = blame(f"{self.where}: {self.source.name}, {place}", error)
            if isinstance(blamed, TargetError):
                raise blamed from error
            return self._failed(error.sqlstate)
        if any(words in str(error) for words in _ASYNCIO):
            self._refuse(
                f"{self.source.name}, which uses asyncio at {place} ({error})",
                "an `async def` that awaits nothing but its connection: asyncio does not run here",
                "take the rest out of it, or name a function without it",
            )
        if isinstance(error, ImportError):
            self._refuse(
                f"{self.source.name}, which imports at {place} what is not there ({error})",
                "imports at the top of the module, where the target file's folder is on `sys.path`",
                "move the import there, or set PYTHONPATH",
            )
        return Reply(status=Status.ERROR, error=f"{type(error).__name__} at {place}")

    def _check_awaited(self, result: Any) -> None:
        if inspect.iscoroutine(result):
            result.close()
            self._refuse(
                f"{self.source.name}, which is no `async def` and returned a coroutine",
                "a result, or an `async def`, which is awaited here",
                "name the `async def` itself, without what is wrapped around it",
            )

    def _after_loss(self, result: Any) -> Reply:
        """A function that goes on without its connection may still say that the queue accepted; else nobody knows."""
        if result is not None and result is not False:
            answer = self._answer(result)
            if self.operation.accepts(answer):
                return self._reply(answer, result)
        raise self._lost

    async def _check_end(self, connection: psycopg.AsyncConnection[Any], answer: ServerAnswer) -> None:
        """TargetError if it left a transaction open that nobody ends, or ended one that the settlement should end."""
        is_open = connection.info.transaction_status is not TransactionStatus.IDLE
        if is_open and not self.stays_open(answer):
            self._refuse(
                f"{self.source.name}, which returned inside of an open transaction",
                "a commit or a rollback before it returns, also where it finds nothing to do",
                "use `with connection.transaction():`, or `connection.commit()`; where the claim's transaction stays "
                "open until the settlement, write `holds_transaction = true` beside the claim",
            )
        if not is_open and (self.is_inside or (self.place is Place.OPENS and self.operation.accepts(answer))):
            self._refuse(
                f"{self.source.name}, which ended the transaction that holds the job",
                "one that stays open until the settlement, as `holds_transaction` says",
                "leave the commit to the settlement, or take `holds_transaction` out",
            )

    # -- what its result means -------------------------------------------------------------------------------------

    def _answer(self, result: Any) -> ServerAnswer:
        """The result in the form of an answer of statements."""
        rows = self._rows(result)
        if self.operation.names_job and result is not True:
            return ServerAnswer(None, len(rows), rows[0] if rows else {"job": None})
        if result is None or result is True or rows:
            return ServerAnswer((True,), 1, rows[0] if rows else {}, computed=True)
        return ServerAnswer((result,), 1, {}, computed=True)

    def _rows(self, result: Any) -> list[dict[str, Any]]:
        """The rows in a result, each with its `job` as a text."""
        if not self.operation.names_job:
            return [dict(result)] if isinstance(result, Mapping) else []
        listed = result if isinstance(result, list) else [result]
        return [self._row(each) for each in listed if each is not None and not isinstance(each, bool)]

    def _row(self, each: Any) -> dict[str, Any]:
        row = dict(each) if isinstance(each, Mapping) else {"job": each}
        if not isinstance(row.get("job"), str | int | UUID):
            self._refuse(
                f"{each!r:.100}, which {self.source.name} returned",
                "None, the job's identifier, a dictionary of columns with `job`, or a list of these",
                "return one of these, such as the row of a cursor with psycopg's `dict_row`",
            )
        return row | {"job": str(row["job"])}

    def _reply(self, answer: ServerAnswer, result: Any) -> Reply:
        if not self.operation.accepts(answer):
            return Reply(status=self.operation.nothing)
        rows = self._rows(result)
        return Reply(status=Status.OK, row=rows[0] if rows else {}, also=tuple(rows[1:]))

    def _refuse(self, found: str, expected: str, remedy: str) -> NoReturn:
        refuse(self.where, f"found {found}", expected, remedy)


async def _roll_back(connection: psycopg.AsyncConnection[Any]) -> None:
    """End a transaction that an error has left open."""
    status = connection.info.transaction_status
    if status is TransactionStatus.ACTIVE:
        connection.pgconn.finish()
    elif status is not TransactionStatus.IDLE:
        await AsyncRawCursor(connection).execute("ROLLBACK")
