"""Connections as such, through the gate: how they open, how they end, and what reaches them unasked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import psycopg
import pytest
import trio

from pgqmodel.server import Cluster, SideConnection, TrioConnection
from pgqmodel.wire import LineState
from wire import packets
from wire.gated import Stage, receive, staged

pytestmark = pytest.mark.both_majors

TABLE = "CREATE TABLE t (id int PRIMARY KEY)"


def on_stage(server: Cluster, names: str, story: Callable[[Stage], Awaitable[None]]) -> None:
    """Run a story with clients of these names and a table."""

    async def main() -> None:
        async with staged(server, TABLE, *names) as stage:
            await story(stage)

    trio.run(main)


def rows(stage: Stage) -> list[int]:
    """What stands in the table."""
    return [row["id"] for row in stage.side.query("SELECT id FROM t ORDER BY id")]


@pytest.fixture
def scram(server: Cluster) -> Iterator[str]:
    """A user who must prove a password by SCRAM; its name and the password are the same."""
    rules = server.directory / "data" / "pg_hba.conf"
    before = rules.read_text()
    with SideConnection(server.conninfo()) as side:
        side.execute("SET password_encryption = 'scram-sha-256'; CREATE USER worker PASSWORD 'worker'")
        rules.write_text(f"local all worker scram-sha-256\n{before}")
        side.execute("SELECT pg_reload_conf()")
        yield "worker"
        rules.write_text(before)
        side.execute("SELECT pg_reload_conf(); DROP USER worker")


def test_a_password_is_proven(server: Cluster, scram: str) -> None:
    """SCRAM passes through in both directions: the right password is let in."""

    async def story(stage: Stage) -> None:
        await stage.connect("A", user=scram, password=scram)
        await stage.begin("A", "SELECT current_user::text")
        assert await stage.finish("A") == [(scram,)]

    on_stage(server, "", story)


def test_a_wrong_password_is_refused(server: Cluster, scram: str) -> None:
    """The server's refusal reaches the client, and the gate forgets the connection."""

    async def story(stage: Stage) -> None:
        refused: list[BaseException] = []

        async def connect() -> None:
            try:
                await stage._connect(
                    "A", stage.database.conninfo(host=stage.gate.listen("A"), user=scram, password="no")
                )
            except psycopg.OperationalError as error:
                refused.append(error)

        stage.nursery.start_soon(connect)
        while not refused:
            await stage.gate.settle()
        assert "password authentication failed" in str(refused[0])
        await stage.gate.settle()
        assert stage.gate.lines == {}

    on_stage(server, "", story)


def test_encryption_is_declined(server: Cluster) -> None:
    """A client that would like SSL and GSS, over TCP, is told no and comes in without; one that insists is not."""

    async def story(stage: Stage) -> None:
        port = stage.gate.listen_tcp("raw")
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            for code in (80877104, 80877103):
                await stream.send_all(packets.request(code))
                await stage.gate.settle()
                assert await stream.receive_some() == b"N"
            await stream.send_all(packets.startup(database=stage.database.name))
            await stage.gate.settle()
            assert stage.line("raw").state is LineState.IDLE

    on_stage(server, "", story)


def test_junk_ends_its_connection_only(server: Cluster) -> None:
    """A client that does not speak the protocol is told so and put out; the others go on."""

    async def story(stage: Stage) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", stage.gate.listen_tcp("web")) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
            await stage.gate.settle()
            answer = await stream.receive_some()
            assert b"connection web: the client sent a startup packet of" in answer
            assert await stream.receive_some() == b""
        assert ["connection web" in str(error) for error in stage.gate.errors] == [True]
        await stage.begin("A", "SELECT 1")
        assert await stage.finish("A") == [(1,)]

    on_stage(server, "A", story)


@pytest.mark.parametrize("gates", [0, 1], ids=["at the statement", "at the commit"])
@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_cut_has_two_fates(server: Cluster, answer_lost: bool, gates: int) -> None:
    """After a cut either nothing was done or all was committed, and the client cannot tell one from the other."""

    async def story(stage: Stage) -> None:
        await stage.begin("A", "INSERT INTO t VALUES (1)")
        await stage.go(*"A" * gates)
        ran = await stage.gate.cut(stage.line("A"), answer_lost=answer_lost)
        await stage.gate.settle()
        assert rows(stage) == [1] * answer_lost
        assert any(unit.committed for unit in ran) is answer_lost
        assert isinstance(stage.answers["A"][-1], psycopg.OperationalError)
        assert "A" not in stage.gate.lines

    on_stage(server, "A", story)


def test_a_cut_ends_a_session(server: Cluster) -> None:
    """When a cut has returned, the backend's locks are free and the same client may come in again."""

    async def story(stage: Stage) -> None:
        for _ in range(5):
            await stage.begin("A", "SELECT pg_try_advisory_lock(7)")
            assert await stage.finish("A") == [(True,)]
            await stage.gate.cut(stage.line("A"), answer_lost=False)
            assert stage.side.query("SELECT FROM pg_locks WHERE locktype = 'advisory'") == []
            await stage.reconnect("A")

    on_stage(server, "A", story)


def test_a_cut_of_a_blocked_client(server: Cluster) -> None:
    """A client that waits for a lock can be cut; its statement is not run when the lock is free."""

    async def story(stage: Stage) -> None:
        for name in "AB":
            await stage.begin(name, "INSERT INTO t VALUES (1)")
            await stage.go(name)
        assert stage.line("B").blocked_by == [stage.line("A").backend_pid]
        await stage.gate.cut(stage.line("B"), answer_lost=True)
        await stage.finish("A")
        assert (stage.answers["A"], rows(stage)) == (["INSERT 0 1"], [1])

    on_stage(server, "AB", story)


def test_a_client_that_leaves_is_forgotten(server: Cluster) -> None:
    """A client that closes its connection by itself leaves no line behind."""

    async def story(stage: Stage) -> None:
        stage.connections["A"].pgconn.finish()
        await stage.gate.settle()
        assert list(stage.gate.lines) == ["B"]

    on_stage(server, "AB", story)


def test_a_backend_that_ends_is_noticed(server: Cluster) -> None:
    """If the server ends a session in a statement, its client gets the server's error and the line goes."""

    async def story(stage: Stage) -> None:
        await stage.begin("A", "SELECT pg_terminate_backend(pg_backend_pid())")
        stage.gate.release(stage.line("A"))
        await stage.gate.settle()
        assert isinstance(stage.answers["A"][-1], psycopg.OperationalError)
        assert stage.gate.lines == {}

    on_stage(server, "A", story)


def test_notifications_wait_until_they_are_delivered(server: Cluster) -> None:
    """A NOTIFY reaches its listener when it is delivered, and not when it happens to arrive."""

    async def story(stage: Stage) -> None:
        got: list[str] = []
        stage.connections["A"].add_notify_handler(lambda notify: got.append(notify.payload))
        await stage.begin("A", "LISTEN jobs")
        await stage.begin("B", "SELECT pg_notify('jobs', n::text) FROM generate_series(1, 2) n")
        await stage.finish("B")
        stage.gate.fence(stage.line("A"))
        await stage.gate.settle()
        assert (stage.line("A").notifications, got) == (2, [])
        stage.gate.deliver(stage.line("A"))
        await stage.begin("A", "SELECT 1")
        await stage.finish("A")
        assert (stage.line("A").notifications, got) == (1, ["1"])

    on_stage(server, "AB", story)


def test_a_server_with_more_to_say_than_fits(server: Cluster) -> None:
    """A pipeline whose answers fill every buffer before its requests are all sent does not block the gate."""

    async def story(stage: Stage) -> None:
        padded = f"SELECT repeat('x', 100000) -- {'x' * 20_000}"
        cycles = (packets.parse("", padded) + packets.bind("") + packets.execute()) * 100
        async with await trio.open_tcp_stream("127.0.0.1", stage.gate.listen_tcp("raw")) as stream:
            received: list[bytes] = []
            stage.nursery.start_soon(receive, stream, received)
            await stream.send_all(packets.startup(database=stage.database.name))
            stage.nursery.start_soon(stream.send_all, cycles + packets.SYNC)
            await stage.gate.settle()
            await stage.go("raw")
            assert b"".join(received).count(b"x" * 100_000) == 100

    on_stage(server, "", story)


def test_a_second_connection_of_a_name_is_refused(server: Cluster) -> None:
    """A client that has a connection is told that it has, and the first one goes on."""

    async def story(stage: Stage) -> None:
        told = trio.Event()

        async def knock() -> None:
            with pytest.raises(psycopg.OperationalError, match="a second connection of this client came to the gate"):
                await TrioConnection.connect(stage.database.conninfo(host=stage.gate.listen("A")))
            told.set()

        stage.nursery.start_soon(knock)
        while not told.is_set():
            await stage.gate.settle()
        await stage.begin("A", "SELECT 1")
        assert await stage.finish("A") == [(1,)]

    on_stage(server, "A", story)
