"""Connections: psycopg with waiting in Trio, and the synchronous side connection that observes.

psycopg's protocol is a generator that yields the event it waits for; only the waiting is ours. There are no timers, so
a connection that waits costs nothing and does not disturb virtual time.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import math
import select
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import psycopg
import trio
from psycopg import errors, generators, waiting
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row, tuple_row

from pgqmodel.errors import ServerGoneError, StuckError, TargetError
from pgqmodel.server.times import adapters

__all__ = ["LOST", "SideConnection", "TrioConnection", "connect_guarded"]

LOST = (psycopg.OperationalError, psycopg.InterfaceError)
"""The errors that a client's program gets when its connection is gone."""

RV = TypeVar("RV")
_READ, _WRITE = waiting.Wait.R, waiting.Wait.W


class TrioConnection(psycopg.AsyncConnection[Any]):
    """A psycopg connection that waits in Trio: in autocommit, without server-side prepared statements."""

    def __init__(self, pgconn: psycopg.pq.abc.PGconn, row_factory: Any = tuple_row) -> None:
        super().__init__(pgconn, row_factory)
        self._adapters = adapters()
        self.lock: Any = _Turn()
        self.abandoned = False
        """Whether its client is dead: a function of an application that uses it must not go on."""
        self.seed: str | None = None
        """The seed of what such a function draws during the present call; without one its chance is real."""

    def __del__(self, *_: object) -> None:
        """No warning, unlike psycopg's: our clients end by a cut, and dropping a connection closes its socket."""

    @classmethod
    async def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """Connect; psycopg.OperationalError if that fails."""
        connection = await _drive(generators.connect(make_conninfo(conninfo, **kwargs)), None, math.inf)
        wrapped = cls(connection)
        wrapped._autocommit = True
        wrapped.prepare_threshold = None
        return wrapped

    async def run(self, sql: str) -> None:
        """Run statements without parameters and drop their rows; errors as psycopg's.

        Through libpq alone, because it is called very often: a cursor takes longer than all else that a client does.
        """
        async with self.lock:
            self.pgconn.send_query(sql.encode())
            _check(await self.wait(generators.execute(self.pgconn)))

    async def wait(self, gen: PQGen[RV], interval: float = 0.0, timeout: float | None = None) -> RV:  # noqa: ASYNC109 - psycopg's signature
        """Drive one of psycopg's generators; a cancelled task closes the connection, because its state is unknown."""
        try:
            result: RV = await _drive(gen, self.pgconn.socket, math.inf if timeout is None else timeout)
        except (trio.Cancelled, BaseExceptionGroup):  # a group if it waited for both, reading and writing
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise
        return result


def _check(results: Sequence[psycopg.pq.abc.PGresult]) -> None:
    """Raise the server's error, as a cursor would."""
    for result in results:
        if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result)


class _Turn:
    """A lock for one task at a time. Unlike trio.Lock, a free one is taken without a checkpoint; any task may free it.

    The first saves each statement a round of the scheduler. The second is needed if a task leaves a generator by
    `break` and another task closes it.
    """

    def __init__(self) -> None:
        self._taken = False
        self._queue = trio.lowlevel.ParkingLot()

    async def __aenter__(self) -> None:
        while self._taken:
            await self._queue.park()
        self._taken = True

    async def __aexit__(self, *_: object) -> None:
        self._taken = False
        self._queue.unpark()


async def _drive(gen: Any, fileno: int | None, seconds: float) -> Any:
    """Run a generator of psycopg's to its end, and wait for each event that it yields.

    A generator that connects yields its socket as well, because the socket may change on the way.
    """
    try:
        with trio.move_on_after(seconds) if seconds < math.inf else contextlib.nullcontext():
            asked = next(gen)
            while True:
                where, what = (fileno, asked) if fileno is not None else asked
                asked = gen.send(await _ready(where, what))
        raise errors._WaitTimeout
    except StopIteration as end:
        return end.value


async def _ready(fileno: int, what: waiting.Wait) -> waiting.Ready:
    if what == _READ:
        await trio.lowlevel.wait_readable(fileno)
        return waiting.Ready.R
    if what == _WRITE:
        await trio.lowlevel.wait_writable(fileno)
        return waiting.Ready.W
    return await _either(fileno)


async def _either(fileno: int) -> waiting.Ready:
    """Wait until a socket can be read or written, whichever comes first."""
    ready = 0

    async def wait_for(condition: Any, flag: int) -> None:
        nonlocal ready
        await condition(fileno)
        ready |= flag
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for, trio.lowlevel.wait_readable, int(waiting.Ready.R))
        nursery.start_soon(wait_for, trio.lowlevel.wait_writable, int(waiting.Ready.W))
    return waiting.Ready(ready)


class SideConnection:
    """A synchronous connection for observations: short queries only, with a limit in real time.

    Under a frozen clock the server's own timeouts never fire, so a query that waits for a lock would wait for ever.
    With `read_only` the server refuses statements that change data.
    """

    def __init__(self, conninfo: str, *, guard_seconds: float = 20.0, read_only: bool = False) -> None:
        self._conninfo = conninfo
        self._guard_seconds = guard_seconds
        self._read_only = read_only
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        self._names: dict[str, str] = {}
        self._connection = _GuardedConnection.connect(
            self._conninfo,
            autocommit=True,
            prepare_threshold=1,
            row_factory=dict_row,
            cursor_factory=psycopg.RawCursor,
            application_name="pgqmodel-side",
            client_encoding="UTF8",
        )
        self._connection._adapters = adapters()
        self._connection.guard_seconds = self._guard_seconds
        self._cursor = self._connection.cursor()  # one for all queries: making a cursor takes as long as a query
        # A database or its owner may have other settings, but the loaders can read only these two formats.
        self.execute("SET datestyle = 'ISO'; SET intervalstyle = 'postgres'")
        if self._read_only:
            self.execute("SET default_transaction_read_only = on")

    def reopen(self) -> None:
        """Connect again, after the server was restarted."""
        self.close()
        self._open()

    def close(self) -> None:
        """Close; closing twice is fine."""
        self._connection.close()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query, with `$1` style parameters.

        Raises ServerGoneError if the server is not there any more, StuckError if it does not answer in time.
        """
        return self._run(sql, parameters or None).fetchall()

    @property
    def zone(self) -> dt.tzinfo:
        """The session's time zone, in which Postgres reads a timestamp without time zone."""
        return self._connection.info.timezone

    def query_all(self, queries: Mapping[str, str]) -> list[list[dict[str, Any]]]:
        """The rows of several queries without parameters, in one round trip; the keys name the queries in errors.

        Raises TargetError for a query that Postgres refuses, that does not end, or that ends its own session;
        ServerGoneError if the server itself is gone.
        """
        try:
            return self._query_all(queries.values())
        except StuckError as error:
            message = (
                f"{', '.join(queries)}: found no answer in {self._guard_seconds:g} s; expected one at once. The query "
                "sleeps or loops, or it reads a table that an operation has locked (LOCK TABLE, TRUNCATE, ALTER), and "
                "such a queue cannot be observed. Mend one or the other"
            )
            raise TargetError(message) from error
        except (psycopg.Error, ServerGoneError, ValueError, OverflowError) as error:
            raise self._find_culprit(queries, error) from error

    def _query_all(self, queries: Iterable[str]) -> list[list[dict[str, Any]]]:
        names = []
        for sql in queries:
            if sql not in self._names:
                name = f"pgqmodel_{len(self._names)}"
                self.execute(f"PREPARE {name} AS {sql}")
                self._names[sql] = name
            names.append(self._names[sql])
        cursor = self._run("; ".join(f"EXECUTE {name}" for name in names), prepare=False)
        rows = [cursor.fetchall()]
        while cursor.nextset():
            rows.append(cursor.fetchall())
        return rows

    def _find_culprit(self, queries: Mapping[str, str], error: Exception) -> Exception:
        """Run each query again, alone. Return the error of the first that fails, or the old error if none fails."""
        for where, sql in queries.items():
            try:
                if self._connection.broken or self._connection.closed:
                    self.reopen()
                self._query_all([sql])
            except psycopg.OperationalError:
                return error  # no new session is possible: the server is gone
            except ServerGoneError as again:
                return TargetError(_refused(where, f"the query ends its own session ({again.__cause__})"))
            except (psycopg.Error, ValueError, OverflowError) as again:
                return TargetError(_refused(where, _first_line(again)))
        return error

    def describe(self, sql: str, where: str, types: Sequence[int] = ()) -> dict[str, int]:
        """The columns that a statement would return, with their types; `types` are the types of its parameters.

        Raises TargetError, naming `where`, if Postgres cannot parse it.
        """
        pgconn = self._connection.pgconn
        result = pgconn.prepare(b"", sql.encode(), types)
        if result.status == psycopg.pq.ExecStatus.COMMAND_OK:
            result = pgconn.describe_prepared(b"")
        if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
            reason = result.get_error_message("utf-8").strip().splitlines()[0]
            message = (
                f"{where}: Postgres cannot parse it: {reason}; expected one statement that fits the set-up's schema"
            )
            raise TargetError(message)
        return {(result.fname(at) or b"").decode(): result.ftype(at) for at in range(result.nfields)}

    def execute(self, sql: str) -> None:
        """Run one or more statements; errors as in `query`.

        Through libpq alone: a cursor converts rows into Python's values, and here are no rows.
        """
        pgconn = self._connection.pgconn
        with self._explaining():
            pgconn.send_query(sql.encode())
            _check(self._connection.wait(generators.execute(pgconn)))

    def _run(self, sql: str, parameters: Sequence[Any] | None = None, **options: Any) -> psycopg.Cursor[dict[str, Any]]:
        with self._explaining():
            return self._cursor.execute(sql, parameters, **options)

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn psycopg's error for a server that is gone into ServerGoneError."""
        try:
            yield
        except psycopg.OperationalError as error:
            raise _explain(error, self._connection) from error


class _GuardedConnection(psycopg.Connection[Any]):
    """A synchronous connection that gives up after `guard_seconds` of real time."""

    guard_seconds = math.inf

    def wait(self, gen: PQGen[RV], interval: float = 0.0, timeout: float | None = None) -> RV:
        """Drive one of psycopg's generators, for at most `guard_seconds`."""
        poll = select.poll()
        deadline = time.monotonic() + self.guard_seconds
        try:
            asked = next(gen)
            while True:
                poll.register(self.pgconn.socket, _POLL[asked])
                ready = poll.poll(max(deadline - time.monotonic(), 0) * 1000)
                if not ready:
                    self._give_up()
                asked = gen.send(_flags(ready[0][1]))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _give_up(self) -> None:
        self.pgconn.finish()
        message = (
            f"a question from the side got no answer in {self.guard_seconds:g} s; expected one at once. "
            "A client that is held at the gate probably has a table locked that the question reads "
            "(LOCK TABLE, TRUNCATE, ALTER): such a queue cannot be observed"
        )
        raise StuckError(message)


def connect_guarded(conninfo: str, seconds: float) -> psycopg.Connection[Any]:
    """A connection in autocommit. If an answer takes longer than `seconds`, it raises StuckError and is closed."""
    connection = _GuardedConnection.connect(conninfo, autocommit=True)
    connection.guard_seconds = seconds
    return connection


_POLL = {
    waiting.Wait.R: select.POLLIN,
    waiting.Wait.W: select.POLLOUT,
    waiting.Wait.RW: select.POLLIN | select.POLLOUT,
}


@functools.cache
def _flags(events: int) -> waiting.Ready:
    readable = bool(events & ~select.POLLOUT) * int(waiting.Ready.R)
    return waiting.Ready(readable | bool(events & select.POLLOUT) * int(waiting.Ready.W))


def _refused(where: str, reason: str) -> str:
    return (
        f"{where}: Postgres does not answer it: {reason}; expected a query that only reads, and that can be answered "
        "after every operation. Mend the query, or the operation that changed the schema under it"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _explain(error: psycopg.OperationalError, connection: psycopg.Connection[Any]) -> Exception:
    if not connection.broken and not connection.closed:
        return error
    message = (
        f"the server is gone: {str(error).strip().splitlines()[0]}; expected it to run to the end. "
        "If nobody stopped it, its log says why"
    )
    return ServerGoneError(message)
