"""The connections that functions of an application get: psycopg's own ones, over the session of their client.

psycopg speaks the protocol in generators and waits in one method, `wait`. Here it waits where the client waits, in
Trio: a synchronous function runs in a greenlet and asks for each wait through the bridge, an asynchronous one is
awaited. All else is psycopg's, such as transactions, cursors, pipelines and adapters. There are no prepared statements:
their names would be those of the call before.

A function whose client is dead must not go on, because no process would be there to run it. At its next wait, or at
its next use of the connection, `Gone` is raised in it, which `except Exception` does not catch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

import psycopg
from attrs import define
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

from pgqmodel.bridge import Dialogue, ask
from pgqmodel.target.seeded import Turns

__all__ = ["Gone", "Loan", "lend"]

RV = TypeVar("RV")
_LOOKS_MAX = 100
"""So often a function may use a connection that is lost. One that tries again for ever ends then."""


class Gone(BaseException):
    """The client of a function is dead, or the function tries to use a lost connection for ever."""


@define(kw_only=True, eq=False)
class Loan:
    """The session of a client, as it is lent to one call of a function."""

    owner: psycopg.AsyncConnection[Any]
    turns: Turns
    _over: bool = False
    _looks: int = 0

    @property
    def lost(self) -> bool:
        """Whether the session has ended."""
        return self.owner.closed

    def look(self) -> None:
        """Raise `Gone` if the function must not go on."""
        self._looks += self.lost
        if self._over or self._looks > _LOOKS_MAX or getattr(self.owner, "abandoned", False):
            raise Gone

    async def wait(self, gen: PQGen[RV], timeout: float | None = None) -> RV:  # noqa: ASYNC109 - psycopg's signature
        """Drive one of psycopg's generators; `Gone` if the client has died meanwhile."""
        self.look()
        try:
            return await self.owner.wait(gen, timeout=timeout)
        except Exception:
            self.look()
            raise

    async def call(self, function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
        """Run a synchronous function to its end. Its errors are raised here, and so is `Gone`."""
        dialogue = Dialogue(partial(function, lend(BorrowedConnection, self), **values))
        asked = self.turns.run(dialogue.send)
        while not dialogue.over:
            try:
                answer = await self.wait(*asked)
            except Exception as error:  # noqa: BLE001 - whatever psycopg raises is for the function to catch
                asked = self.turns.run(dialogue.throw, error)
            except BaseException:
                self._end(dialogue)
                raise
            else:
                asked = self.turns.run(dialogue.send, answer)
        return asked

    async def call_async(self, function: Callable[..., Coroutine[Any, Any, Any]], values: Mapping[str, Any]) -> Any:
        """Run an asynchronous function to its end; the same for its errors."""
        return await self.turns.drive(function(lend(BorrowedAsyncConnection, self), **values))

    def _end(self, dialogue: Dialogue) -> None:
        """End a function where it waits; what it does then does not reach the database."""
        self._over = True
        for _ in range(_LOOKS_MAX):
            if dialogue.over:
                return
            with contextlib.suppress(BaseException):  # nobody hears what a dead client raises
                dialogue.throw(Gone())


class _Borrowed:
    """What both kinds of connection have in common."""

    loan: Loan

    def _check_connection_ok(self) -> None:
        self.loan.look()
        super()._check_connection_ok()  # type: ignore[misc]

    def __del__(self, *_: object) -> None:
        """No warning, unlike psycopg's: the session belongs to the client and goes on."""


class BorrowedConnection(_Borrowed, psycopg.Connection[Any]):
    """The connection of a synchronous function."""

    def wait(self, gen: PQGen[RV], interval: float = 0.0, timeout: float | None = None) -> RV:
        """Hand the generator over, and wait for its end."""
        self.loan.look()
        result: RV = ask((gen, timeout))
        return result

    def close(self) -> None:
        """Give the connection back, as to a pool: an open transaction is rolled back, and the session goes on."""
        if not self.closed and self.info.transaction_status is not TransactionStatus.IDLE:
            self.rollback()


class BorrowedAsyncConnection(_Borrowed, psycopg.AsyncConnection[Any]):
    """The connection of an asynchronous function, which needs no event loop of asyncio."""

    async def wait(self, gen: PQGen[RV], interval: float = 0.0, timeout: float | None = None) -> RV:  # noqa: ASYNC109
        """Wait for the end of the generator."""
        return await self.loan.wait(gen, timeout)

    async def close(self) -> None:
        """Give the connection back, as to a pool: an open transaction is rolled back, and the session goes on."""
        if not self.closed and self.info.transaction_status is not TransactionStatus.IDLE:
            await self.rollback()


_C = TypeVar("_C", BorrowedConnection, BorrowedAsyncConnection)


def lend(kind: type[_C], loan: Loan) -> _C:
    """A connection of this kind over the loan's session. The session's own handlers stay."""
    pgconn = loan.owner.pgconn
    notice, notify = pgconn.notice_handler, pgconn.notify_handler
    connection = kind(pgconn)
    pgconn.notice_handler, pgconn.notify_handler = notice, notify
    connection.loan = loan
    connection.prepare_threshold = None
    return connection
