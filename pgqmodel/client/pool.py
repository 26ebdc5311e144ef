"""The connections for a service's requests: a bounded number, opened when needed, dropped when broken.

Callers get rows, or `UnavailableError`: the database is down, too slow, or no connection is free. After it, the
statement may have taken effect or not, so statements that must not run twice carry a key.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
import trio
from psycopg import AsyncRawCursor
from psycopg.pq import TransactionStatus

from pgqmodel.server.connection import LOST, TrioConnection

__all__ = ["Pool", "UnavailableError"]

PREPARE_AFTER = 3


class UnavailableError(Exception):
    """The database gave no answer; whether the statement took effect is unknown."""


class Pool:
    """At most `size` connections; a statement without an answer in `patience_seconds` is given up."""

    def __init__(self, conninfo: str, *, size: int = 8, patience_seconds: float = 10.0) -> None:
        self._conninfo = conninfo
        self._patience_seconds = patience_seconds
        self._free = trio.Semaphore(size)
        self._idle: list[TrioConnection] = []

    async def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement with `$1` parameters, and return its rows; it commits by itself."""
        with trio.move_on_after(self._patience_seconds):
            async with self._free:
                return await self._query(sql, values)
        message = f"no answer within {self._patience_seconds:g} s"
        raise UnavailableError(message)

    async def _query(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            connection = self._take() or await self._open()
        except LOST as error:
            raise UnavailableError(_reason(error)) from error
        try:
            cursor = AsyncRawCursor(connection)
            await cursor.execute(sql, values)
            return await cursor.fetchall()
        except LOST as error:
            raise UnavailableError(_reason(error)) from error
        finally:
            self._give_back(connection)

    async def _open(self) -> TrioConnection:
        connection = await TrioConnection.connect(self._conninfo, application_name="pgqmodel-serve")
        connection.prepare_threshold = PREPARE_AFTER
        return connection

    def _take(self) -> TrioConnection | None:
        """The idle connection that was used last and is alive; the socket of one that the server closed is readable."""
        while self._idle:
            connection = self._idle.pop()
            if _is_quiet(connection):
                return connection
            connection.pgconn.finish()
        return None

    def _give_back(self, connection: TrioConnection) -> None:
        if not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            connection.pgconn.finish()

    def close(self) -> None:
        """Close the idle connections; a connection in use is closed by its task."""
        while self._idle:
            self._idle.pop().pgconn.finish()


def _is_quiet(connection: TrioConnection) -> bool:
    """Whether a connection is still alive: a notice is read, and the end of the connection is noticed."""
    poll = select.poll()
    with suppress(psycopg.Error, ValueError):
        poll.register(connection.pgconn.socket, select.POLLIN)
        if not poll.poll(0):
            return True
        connection.pgconn.consume_input()
        return not poll.poll(0) and connection.pgconn.status == psycopg.pq.ConnStatus.OK
    return False


def _reason(error: psycopg.Error) -> str:
    """The first line of libpq's message."""
    return (str(error).strip().splitlines() or ["the connection was lost"])[0]
