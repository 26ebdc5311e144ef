"""Peers that do what they should not, or go when it does not suit: the gate and the other clients go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import psycopg
import pytest
import trio
from psycopg.pq import PollingStatus

from pgqmodel.server import Cluster
from pgqmodel.wire import LineState
from wire import packets
from wire.gated import Stage, staged

pytestmark = pytest.mark.both_majors

TABLE = "CREATE TABLE t (id int PRIMARY KEY)"
HELD_LOCKS = "SELECT FROM pg_locks WHERE locktype = 'advisory'"
TIMES = 5


def on_stage(server: Cluster, names: str, story: Callable[[Stage], Awaitable[None]]) -> None:
    """Run a story with clients of these names and a table."""

    async def main() -> None:
        async with staged(server, TABLE, *names) as stage:
            await story(stage)

    trio.run(main)


def test_a_client_that_does_not_read(server: Cluster) -> None:
    """An answer that its client leaves lying holds up nobody: settling ends, and the others are served."""

    async def story(stage: Stage) -> None:
        stage.connections["A"].pgconn.send_query(b"SELECT repeat('x', 10000000)")
        await stage.gate.settle()
        await stage.go("A")
        assert stage.line("A").state is LineState.IDLE
        await stage.begin("B", "SELECT 1")
        assert await stage.finish("B") == [(1,)]

    on_stage(server, "AB", story)


def test_a_client_that_leaves_takes_its_locks_along(server: Cluster) -> None:
    """When a client has closed its connection, its session's locks are free by the end of the next settling."""

    async def story(stage: Stage) -> None:
        for _ in range(TIMES):
            await stage.begin("A", "SELECT pg_advisory_lock(7)")
            await stage.finish("A")
            stage.connections.pop("A").pgconn.finish()
            await stage.gate.settle()
            assert stage.side.query(HELD_LOCKS) == []
            await stage.connect("A")

    on_stage(server, "A", story)


def test_a_client_that_leaves_an_answer_unread(server: Cluster) -> None:
    """A connection that is reset, because its client closed it over an unread answer, is over like any other."""

    async def story(stage: Stage) -> None:
        stage.connections["A"].pgconn.send_query(b"SELECT pg_advisory_lock(7)")
        await stage.gate.settle()
        await stage.go("A")
        stage.connections["A"].pgconn.finish()
        await stage.gate.settle()
        assert (stage.gate.lines, stage.side.query(HELD_LOCKS)) == ({}, [])

    on_stage(server, "A", story)


def test_a_lost_answer_is_one_units(server: Cluster) -> None:
    """Of several units that a client has sent at once, a cut that loses an answer runs the first and no other."""

    async def story(stage: Stage) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", stage.gate.listen_tcp("raw")) as stream:
            await stream.send_all(packets.startup(database=stage.database.name))
            await stage.gate.settle()
            await stream.send_all(b"".join(packets.query(f"INSERT INTO t VALUES ({number})") for number in (1, 2)))
            await stage.gate.settle()
            ran = await stage.gate.cut(stage.line("raw"), answer_lost=True)
        assert [unit.sql for unit in ran if unit.committed] == ["INSERT INTO t VALUES (1)"]
        assert stage.side.query("SELECT id FROM t") == [{"id": 1}]

    on_stage(server, "", story)


def test_a_cancelled_wait_is_over(server: Cluster) -> None:
    """Once a cancel request has been taken in, settling ends with the error, however slow the server is to send it."""

    async def story(stage: Stage) -> None:
        for _ in range(TIMES):
            for name in "AB":
                await stage.begin(name, "INSERT INTO t VALUES (1)")
                await stage.go(name)
            assert stage.line("B").blocked_by == [stage.line("A").backend_pid]
            cancel = stage.connections["B"].pgconn.cancel_conn()
            cancel.start()
            while cancel.poll() not in {PollingStatus.OK, PollingStatus.FAILED}:
                await stage.gate.settle()
            await stage.gate.settle()
            assert stage.answers["B"][-1].sqlstate == "57014"
            await stage.finish("A")
            stage.side.execute("DELETE FROM t")

    on_stage(server, "AB", story)


def test_a_last_word_is_passed_on(server: Cluster) -> None:
    """A session that the server ended between two statements: its client gets the server's reason with the next one."""

    async def story(stage: Stage) -> None:
        stage.side.query("SELECT pg_terminate_backend($1, 5000)", (stage.line("A").backend_pid,))
        await stage.begin("A", "INSERT INTO t VALUES (1)")
        stage.gate.release(stage.line("A"))
        await stage.gate.settle()
        assert stage.answers["A"][-1].sqlstate == "57P01"
        assert stage.gate.lines == {}

    on_stage(server, "A", story)


def test_a_last_word_in_a_commit_is_passed_on(server: Cluster) -> None:
    """A session that the server ended before its COMMIT: its client gets the server's reason, and no answer."""

    async def story(stage: Stage) -> None:
        await stage.begin("A", "INSERT INTO t VALUES (1)")
        await stage.go("A")
        stage.side.query("SELECT pg_terminate_backend($1, 5000)", (stage.line("A").backend_pid,))
        stage.gate.commit(stage.line("A"))
        await stage.gate.settle()
        assert stage.answers["A"][-1].sqlstate == "57P01"
        assert stage.side.query("SELECT FROM t") == []

    on_stage(server, "A", story)


def test_a_server_that_takes_nobody(server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no server listens, a client is told so by name, and the gate goes on."""

    async def story(stage: Stage) -> None:
        told: list[str] = []

        async def connect() -> None:
            try:
                await stage._connect("B", stage.database.conninfo(host=stage.gate.listen("B")))
            except psycopg.OperationalError as error:
                told.append(str(error))

        with monkeypatch.context() as patch:
            patch.setattr(stage.gate._doors, "_server", "no/such/socket")
            stage.nursery.start_soon(connect)
            while not told:
                await stage.gate.settle()
        assert "connection B: the server does not answer" in told[0]
        await stage.begin("A", "SELECT 1")
        assert await stage.finish("A") == [(1,)]

    on_stage(server, "A", story)
