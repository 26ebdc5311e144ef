"""Connections: psycopg under Trio does what it does elsewhere, and the side connection never hangs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing

import psycopg
import pytest
import trio

from pgqmodel.errors import ServerGoneError, StuckError
from pgqmodel.server import Cluster, SideConnection, TrioConnection

SLEEP = "SELECT pg_sleep(3600)"


async def pipeline(connection: TrioConnection) -> None:
    """Three statements in one pipeline, each with its own answer."""
    async with connection.pipeline():
        cursors = [await connection.execute("SELECT %s::int", (number,)) for number in range(3)]
    assert [await cursor.fetchone() for cursor in cursors] == [(0,), (1,), (2,)]


async def copy(connection: TrioConnection) -> None:
    """Many rows in and out."""
    await connection.execute("CREATE TEMP TABLE copied (n int)")
    async with connection.cursor().copy("COPY copied FROM STDIN") as sink:
        for number in range(5000):
            await sink.write_row((number,))
    async with connection.cursor().copy("COPY copied TO STDOUT") as source:
        assert sum([1 async for _ in source]) == 5000


async def notifications(connection: TrioConnection) -> None:
    """A notification arrives, and the connection serves on after its listener left by break."""
    await connection.execute("LISTEN channel")
    await connection.execute("NOTIFY channel, 'word'")
    async with aclosing(connection.notifies()) as heard:
        async for notification in heard:
            assert notification.payload == "word"
            break
    await pipeline(connection)


async def an_error(connection: TrioConnection) -> None:
    """An error leaves the connection usable."""
    with pytest.raises(psycopg.errors.UndefinedColumn):
        await connection.execute("SELECT nothing")
    await pipeline(connection)


@pytest.mark.parametrize("use", [pipeline, copy, notifications, an_error])
def test_psycopg_works_under_trio(server: Cluster, use: Callable[[TrioConnection], Awaitable[None]]) -> None:
    """Pipelines, COPY, notifications and errors behave as they do under asyncio."""

    async def run() -> None:
        async with await TrioConnection.connect(server.conninfo()) as connection:
            await use(connection)

    trio.run(run)


async def sleep_alone(connection: TrioConnection) -> None:
    """One statement."""
    await connection.execute(SLEEP)


async def sleep_in_transaction(connection: TrioConnection) -> None:
    """A statement in an open transaction."""
    await connection.execute("BEGIN")
    await connection.execute(SLEEP)


async def sleep_in_copy(connection: TrioConnection) -> None:
    """A COPY whose rows do not come."""
    async with connection.cursor().copy(f"COPY ({SLEEP}) TO STDOUT") as source:
        async for _ in source:
            pass


@pytest.mark.parametrize("sleep", [sleep_alone, sleep_in_transaction, sleep_in_copy])
def test_a_cancelled_task_closes_its_connection(
    server: Cluster, sleep: Callable[[TrioConnection], Awaitable[None]]
) -> None:
    """Nothing hangs, and nobody can use a connection whose state is unknown."""

    async def run() -> None:
        async with await TrioConnection.connect(server.conninfo()) as connection, trio.open_nursery() as nursery:
            nursery.start_soon(sleep, connection)
            with SideConnection(server.conninfo()) as side:
                pid = connection.info.backend_pid
                while not side.query(
                    "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", (pid,)
                ):
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert connection.closed

    trio.run(run)


def test_a_cancelled_listener_keeps_its_connection(server: Cluster) -> None:
    """Who only listened may serve on: nothing was under way."""

    async def run() -> None:
        async with await TrioConnection.connect(server.conninfo()) as connection:
            with trio.CancelScope() as scope:
                scope.cancel()
                await anext(connection.notifies())
            await pipeline(connection)

    trio.run(run)


def test_the_side_connection_gives_python_values(server: Cluster) -> None:
    """Numbers, truth values, JSON and nulls come as what they are."""
    with SideConnection(server.conninfo()) as side:
        row = side.query(
            """SELECT 1 AS one, true AS yes, '{"a": [1]}'::jsonb AS json, NULL AS nothing, $1::int AS given""", (7,)
        )
        assert row == [{"one": 1, "yes": True, "json": {"a": [1]}, "nothing": None, "given": 7}]


def test_a_question_that_waits_is_given_up(server: Cluster) -> None:
    """The guard counts real seconds, since the server's own timeouts stand still with its clock."""
    with SideConnection(server.conninfo(), guard_seconds=0.05) as side, pytest.raises(StuckError, match=r"in 0\.05 s"):
        side.query(SLEEP)


def test_a_server_that_went_away_is_said_so(server: Cluster) -> None:
    """A connection that was cut is ServerGoneError; a mistake in the SQL stays psycopg's."""
    with SideConnection(server.conninfo()) as side, SideConnection(server.conninfo()) as other:
        with pytest.raises(psycopg.errors.SyntaxError):
            side.query("SELEC")
        pid = side.query("SELECT pg_backend_pid() AS pid")[0]["pid"]
        other.query("SELECT pg_terminate_backend($1, 5000)", (pid,))
        with pytest.raises(ServerGoneError):
            side.query("SELECT 1")
