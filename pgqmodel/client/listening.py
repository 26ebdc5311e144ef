"""A client's connection and its notifications: it can be opened again, listens on a channel, and loses no wake-up.

A client that listens before it looks for a job, and remembers notifications that arrive meanwhile, misses none. So
`listen` commits before the first look, notifications that come with an answer are noted, and `wait_woken` first checks
whether one came since `settle`.

A busy client does not listen: for each commit that notifies any channel, Postgres wakes every listening session of the
database. With many workers that costs more than the commit.
"""

from __future__ import annotations

import contextlib
from typing import NoReturn

import psycopg
import trio
from psycopg.sql import SQL, Identifier

from pgqmodel.client.recorder import Recorder
from pgqmodel.errors import LostAnswerError, UsageError
from pgqmodel.server.connection import LOST, TrioConnection

__all__ = ["ListeningConnection"]

CONNECT_SECONDS_MAX = 10.0
_HOPELESS = ("does not exist", "authentication failed", "no password supplied", "no pg_hba.conf entry")
"""Words of errors that will come again, because the connection string is wrong."""


class ListeningConnection:
    """Connections to one database under one name, one after another; at most one of them is alive."""

    def __init__(self, conninfo: str, name: str, channel: str | None, recorder: Recorder | None) -> None:
        self._conninfo = conninfo
        self._name = name
        self._channel = channel
        self._recorder = recorder
        self._connection: TrioConnection | None = None
        self._listening = False
        self._woken = False

    @property
    def alive(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None and not self._connection.closed

    @property
    def connection(self) -> TrioConnection:
        """The connection; LostAnswerError if there is none."""
        if self._connection is None:
            self.lose(psycopg.OperationalError("the connection is closed"))
        return self._connection

    async def open(self) -> None:
        """Open a new connection in place of the old one; it listens if the old one did.

        LostAnswerError if the server cannot be reached; UsageError if the connection string is malformed, or if the
        server says that it is wrong.
        """
        await self.close()
        try:
            with trio.fail_after(CONNECT_SECONDS_MAX):
                self._connection = await TrioConnection.connect(self._conninfo, application_name=self._name)
        except psycopg.ProgrammingError as error:
            _refuse(error)
        except LOST as error:
            if any(words in str(error) for words in _HOPELESS):
                _refuse(error)
            self.lose(error)
        except trio.TooSlowError as error:
            self.lose(error)
        self._connection.add_notify_handler(self._hear)
        if self._recorder is not None:
            self._recorder.connected()
        if self._listening:
            self._woken = True  # notifications from before were lost
            await self.listen()

    async def close(self) -> None:
        """End the connection; closing twice is fine."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
            if self._recorder is not None:
                self._recorder.ended()

    def lose(self, error: Exception) -> NoReturn:
        """Raise LostAnswerError for a connection that is gone."""
        reason = (str(error).strip() or "there was no answer in time").splitlines()[0]
        message = (
            f"{self._name} has lost its connection: {reason}; expected an answer. "
            "Connect again: whether a call in flight took effect, only the database knows"
        )
        raise LostAnswerError(message) from error

    async def listen(self) -> None:
        """Listen from now on, or from the next `open` on; does nothing if there is no channel."""
        if self._channel is None:
            return
        self._listening = True
        if self._connection is None:
            return
        try:
            await self.connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
        except LOST as error:
            self.lose(error)

    async def unlisten(self) -> None:
        """Stop listening until the next `listen` or `wait_woken`; does nothing if it does not listen."""
        listening, self._listening = self._listening, False
        if listening and self._connection is not None:
            with contextlib.suppress(*LOST):  # a session that is gone does not listen, and the next call raises
                await self._connection.execute("UNLISTEN *")

    def settle(self) -> None:
        """Forget the wake-ups so far: the look for a job that follows will see their jobs."""
        self._woken = False

    async def wait_woken(self, seconds: float) -> bool:
        """Wait until there was a wake-up since `settle`, or for so many seconds. Return whether there was one.

        A client that did not listen starts to, and is woken at once, because earlier notifications were lost.
        """
        connection = self.connection
        if not self._listening and self._channel is not None:
            await self.listen()
            self._woken = True
        with trio.move_on_after(seconds):
            try:
                while not self._heard(connection):
                    await trio.lowlevel.wait_readable(connection.pgconn.socket)
                    connection.pgconn.consume_input()
            except LOST as error:
                self.lose(error)
        return self._woken

    def _heard(self, connection: TrioConnection) -> bool:
        """Whether there was a wake-up; reads the notifications that have arrived."""
        while (notification := connection.pgconn.notifies()) is not None:
            self._woken = self._woken or notification.relname.decode() == self._channel
        return self._woken

    def _hear(self, notification: psycopg.Notify) -> None:
        self._woken = self._woken or notification.channel == self._channel


def _refuse(error: Exception) -> NoReturn:
    reason = str(error).strip().splitlines()[0]
    message = (
        f"the connection string does not lead to a database: {reason}; expected a postgresql:// URL or key=value "
        "pairs that the server takes. Correct it"
    )
    raise UsageError(message) from error
