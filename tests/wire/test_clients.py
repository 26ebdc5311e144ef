"""What clients do besides single statements, through the gate on a real server: they must not notice it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
import trio
from psycopg import generators

from pgqmodel.server import Cluster, TrioConnection
from pgqmodel.server.connection import _drive
from pgqmodel.wire import LineState, StatementKind
from wire import packets
from wire.gated import Program, Stage, receive, staged

pytestmark = pytest.mark.both_majors

TABLE = "CREATE TABLE t (id int PRIMARY KEY, a int)"
LATE_CHECK = """
CREATE TABLE t (id int PRIMARY KEY);
CREATE TABLE u (id int REFERENCES t DEFERRABLE INITIALLY DEFERRED)
"""


def with_client(server: Cluster, story: Callable[[Stage], Awaitable[None]], setup: str = TABLE) -> None:
    """Run a story with one client, A."""

    async def main() -> None:
        async with staged(server, setup, "A") as stage:
            await story(stage)

    trio.run(main)


async def outcome(stage: Stage, program: str | Program) -> Any:
    """What a program of A's comes to if every gate opens."""
    await stage.begin("A", program)
    return await stage.finish("A")


def status(stage: Stage) -> psycopg.pq.TransactionStatus:
    """The transaction's status as A's driver knows it."""
    return stage.connections["A"].info.transaction_status


def rows(stage: Stage) -> list[tuple[Any, ...]]:
    """What stands in the table."""
    return [tuple(row.values()) for row in stage.side.query("SELECT * FROM t ORDER BY id")]


def test_a_commit_that_fails_is_the_statements_error(server: Cluster) -> None:
    """A constraint that is checked at the COMMIT fails the statement itself, and leaves no transaction open."""

    async def story(stage: Stage) -> None:
        error = await outcome(stage, "INSERT INTO u VALUES (1)")
        assert error.sqlstate == "23503"
        assert status(stage) is psycopg.pq.TransactionStatus.IDLE
        assert await outcome(stage, "SELECT count(*) FROM u") == [(0,)]

    with_client(server, story, LATE_CHECK)


def test_an_error_ends_nothing_but_its_statement(server: Cluster) -> None:
    """A statement that fails is answered with its own error, and the next one works."""

    async def story(stage: Stage) -> None:
        assert (await outcome(stage, "SELECT 1 / 0")).sqlstate == "22012"
        assert status(stage) is psycopg.pq.TransactionStatus.IDLE
        assert await outcome(stage, "INSERT INTO t VALUES (1)") == "INSERT 0 1"

    with_client(server, story)


def test_a_transaction_is_the_clients_own(server: Cluster) -> None:
    """BEGIN, statements, a savepoint that is rolled back to, COMMIT: each is a gate, and all of it one transaction."""

    async def program(connection: TrioConnection) -> None:
        async with connection.transaction():
            await connection.execute("INSERT INTO t VALUES (1)")
            try:
                async with connection.transaction():
                    await connection.execute("INSERT INTO t VALUES (1)")
            except psycopg.errors.UniqueViolation:
                await connection.execute("INSERT INTO t VALUES (2)")

    async def story(stage: Stage) -> None:
        await stage.begin("A", program)
        await stage.go("A")
        assert (stage.line("A").session.status, rows(stage)) == ("T", [])
        assert await stage.finish("A") is None
        assert rows(stage) == [(1, None), (2, None)]
        ran = stage.line("A").take_ran()
        assert [unit.kind for unit in ran][-1] is StatementKind.COMMIT
        assert [unit.committed for unit in ran] == [False] * (len(ran) - 1) + [True]

    with_client(server, story)


def test_a_transaction_that_failed_rolls_back(server: Cluster) -> None:
    """A COMMIT of a failed transaction is a ROLLBACK, for the client and for the record."""

    async def program(connection: TrioConnection) -> str | None:
        await connection.execute("BEGIN")
        await connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await connection.execute("SELECT 1 / 0")
        return (await connection.execute("COMMIT")).statusmessage

    async def story(stage: Stage) -> None:
        assert await outcome(stage, program) == "ROLLBACK"
        assert rows(stage) == []
        assert not any(unit.committed for unit in stage.line("A").take_ran())

    with_client(server, story)


def test_copy_in(server: Cluster) -> None:
    """COPY FROM STDIN takes in more than any buffer holds, whichever protocol starts it; it commits by itself."""

    async def program(connection: TrioConnection) -> int:
        async with connection.cursor() as cursor:
            async with cursor.copy("COPY t FROM STDIN") as copy:
                for number in range(50_000):
                    await copy.write_row((number, number))
            return cursor.rowcount

    async def story(stage: Stage) -> None:
        assert await outcome(stage, program) == 50_000
        assert len(rows(stage)) == 50_000

    with_client(server, story)


def test_copy_in_that_is_broken_off(server: Cluster) -> None:
    """A client that gives up its COPY gets the error that it asked for, and leaves nothing."""

    async def program(connection: TrioConnection) -> None:
        async with connection.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
            await copy.write_row((1, 1))
            message = "enough"
            raise psycopg.DataError(message)

    async def story(stage: Stage) -> None:
        assert str(await outcome(stage, program)) == "enough"
        assert await outcome(stage, "SELECT count(*) FROM t") == [(0,)]

    with_client(server, story)


def test_copy_out(server: Cluster) -> None:
    """COPY TO STDOUT brings everything, in order."""

    async def program(connection: TrioConnection) -> int:
        total = 0
        async with (
            connection.cursor() as cursor,
            cursor.copy("COPY (SELECT generate_series(1, 50000)) TO STDOUT") as copy,
        ):
            async for row in copy.rows():
                total += int(row[0])
        return total

    async def story(stage: Stage) -> None:
        assert await outcome(stage, program) == 50_000 * 50_001 // 2

    with_client(server, story)


def test_large_answers_pass(server: Cluster) -> None:
    """An answer far larger than a socket's buffer reaches its client whole."""

    async def story(stage: Stage) -> None:
        answer = await outcome(stage, "SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
        assert (len(answer), set(answer)) == (20_000, {("x" * 1000,)})

    with_client(server, story)


def test_large_requests_wait_whole(server: Cluster) -> None:
    """A statement far larger than a socket's buffer stands at the gate once settled, and not half of it."""

    async def story(stage: Stage) -> None:
        await stage.begin("A", f"SELECT length('{'x' * 3_000_000}')")
        assert stage.line("A").state is LineState.HELD
        assert await stage.finish("A") == [(3_000_000,)]

    with_client(server, story)


def test_a_pipeline(server: Cluster) -> None:
    """Statements of a pipeline are one unit up to their Sync; the one after the Sync is another."""

    async def program(connection: TrioConnection) -> list[tuple[Any, ...]]:
        async with connection.pipeline() as pipeline:
            first = await connection.execute("INSERT INTO t VALUES (1) RETURNING id")
            second = await connection.execute("INSERT INTO t VALUES (2) RETURNING id")
            await pipeline.sync()
            third = await connection.execute("SELECT count(*) FROM t")
            return [await cursor.fetchone() for cursor in (first, second, third)]

    async def story(stage: Stage) -> None:
        await stage.begin("A", program)
        await stage.go("A")
        assert (stage.line("A").state, rows(stage)) == (LineState.COMMIT_HELD, [])
        assert await stage.finish("A") == [(1,), (2,), (2,)]

    with_client(server, story)


def test_a_pipeline_that_fails(server: Cluster) -> None:
    """An error in a pipeline takes back what stood before it up to the last Sync, as without the gate."""

    async def program(connection: TrioConnection) -> None:
        async with connection.pipeline():
            await connection.execute("INSERT INTO t VALUES (1)")
            await connection.execute("SELECT 1 / 0")
            await connection.execute("INSERT INTO t VALUES (2)")

    async def story(stage: Stage) -> None:
        assert (await outcome(stage, program)).sqlstate == "22012"
        assert await outcome(stage, "SELECT count(*) FROM t") == [(0,)]

    with_client(server, story)


def test_a_cancel_request_passes(server: Cluster) -> None:
    """A cancel request comes on a connection of its own and ends the statement that runs."""

    async def story(stage: Stage) -> None:
        await stage.begin("A", "SELECT pg_sleep(1000)")
        await stage.go("A")
        assert stage.line("A").blocked_by == []
        cancel = stage.connections["A"].pgconn.cancel_conn()
        cancel.start()
        stage.nursery.start_soon(_drive, generators.cancel(cancel), None, math.inf)
        await stage.gate.wait_unblocked(stage.line("A"))
        assert (await stage.finish("A")).sqlstate == "57014"
        assert await outcome(stage, "SELECT 1") == [(1,)]

    with_client(server, story)


def test_server_side_prepared_statements(server: Cluster) -> None:
    """A statement prepared once and bound often is told with its text and its parameters every time."""

    async def program(connection: TrioConnection) -> None:
        connection.prepare_threshold = 0
        for number in (7, 8):
            await connection.execute("INSERT INTO t VALUES (%s, %s)", (number, number))

    async def story(stage: Stage) -> None:
        await outcome(stage, program)
        writes = [unit for unit in stage.line("A").take_ran() if unit.parameters and not unit.is_commit]
        assert [(unit.sql, unit.parameters) for unit in writes] == [
            ("INSERT INTO t VALUES ($1, $2)", (7, 7)),
            ("INSERT INTO t VALUES ($1, $2)", (8, 8)),
        ]

    with_client(server, story)


def test_flush_cycles(server: Cluster) -> None:
    """A driver that prepares with Flush and executes with Sync, as asyncpg does, gets each answer in its turn."""

    async def story(stage: Stage) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", stage.gate.listen_tcp("raw")) as stream:
            received: list[bytes] = []
            stage.nursery.start_soon(receive, stream, received)
            await stream.send_all(packets.startup(database=stage.database.name))
            await stage.gate.settle()
            received.clear()
            await stream.send_all(
                packets.parse("s", "INSERT INTO t VALUES ($1)", (23,)) + packets.typed("D", b"Ss\0") + packets.FLUSH
            )
            await stage.gate.settle()
            assert _types(received) == "1tn"
            await stream.send_all(packets.bind("s", [b"5"]) + packets.execute() + packets.SYNC)
            await stage.gate.settle()
            assert stage.line("raw").state is LineState.HELD
            await stage.go("raw")
            assert (stage.line("raw").state, rows(stage)) == (LineState.COMMIT_HELD, [])
            await stage.go("raw")
            assert (_types(received), b"".join(received)[-1:]) == ("1tn2CZ", b"I")
            assert rows(stage) == [(5, None)]

    with_client(server, story)


def _types(received: list[bytes]) -> str:
    """The types of the messages in a stream."""
    data, types = b"".join(received), ""
    while data:
        types += chr(data[0])
        data = data[1 + int.from_bytes(data[1:5], "big") :]
    return types
