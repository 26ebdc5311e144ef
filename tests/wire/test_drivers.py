"""How drivers of other languages speak, from bytes and on a real server: each style is legal, so each must pass."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import psycopg
import pytest
import trio
from attrs import define, field

from pgqmodel.server import Cluster, TrioConnection
from pgqmodel.wire import LineState
from wire import packets
from wire.gated import Stage, staged

pytestmark = pytest.mark.both_majors

TABLE = "CREATE TABLE t (id int PRIMARY KEY)"
WAITING = {LineState.HELD, LineState.COMMIT_HELD}


@define(kw_only=True)
class Driver:
    """A client that sends bytes and notes which messages come back."""

    stage: Stage
    stream: trio.SocketStream
    received: bytearray = field(factory=bytearray)

    async def receive(self) -> None:
        """Note what comes until the connection ends."""
        with contextlib.suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            async for data in self.stream:
                self.received += data

    async def says(self, data: bytes) -> str:
        """Send, let everything through the gate, and give the types of what came back."""
        self.received.clear()
        await self.stream.send_all(data)
        await self.stage.gate.settle()
        while self.stage.line("raw").state in WAITING:
            await self.stage.go("raw")
        types, rest = "", bytes(self.received)
        while rest:
            types, rest = types + chr(rest[0]), rest[1 + int.from_bytes(rest[1:5], "big") :]
        return types


def with_driver(server: Cluster, story: Callable[[Stage, Driver], Awaitable[None]]) -> None:
    """Run a story with a driver that has come in."""

    async def main() -> None:
        async with (
            staged(server, TABLE) as stage,
            await trio.open_unix_socket(f"{stage.gate.listen('raw')}/.s.PGSQL.5432") as stream,
        ):
            driver = Driver(stage=stage, stream=stream)
            stage.nursery.start_soon(driver.receive)
            await driver.says(packets.startup(database=stage.database.name))
            await story(stage, driver)

    trio.run(main)


def cycle(sql: str) -> bytes:
    """One statement in the extended protocol, without its end."""
    return packets.parse("", sql) + packets.bind("") + packets.execute()


def rows(stage: Stage) -> list[int]:
    """What stands in the table."""
    return [row["id"] for row in stage.side.query("SELECT id FROM t ORDER BY id")]


def test_a_begin_in_the_extended_protocol(server: Cluster) -> None:
    """A driver that parses, binds and executes its BEGIN gets an answer to each of them."""

    async def story(stage: Stage, driver: Driver) -> None:
        assert await driver.says(cycle("BEGIN") + packets.SYNC) == "12CZ"
        assert await driver.says(cycle("INSERT INTO t VALUES (1)") + packets.SYNC) == "12CZ"
        assert rows(stage) == []
        assert await driver.says(cycle("COMMIT") + packets.SYNC) == "12CZ"
        assert rows(stage) == [1]

    with_driver(server, story)


@pytest.mark.parametrize(
    ("sql", "tag"),
    [
        ("BEGIN", b"BEGIN"),
        ("begin work isolation level repeatable read, read only;", b"BEGIN"),
        ("START TRANSACTION", b"START TRANSACTION"),
    ],
)
def test_an_opening_has_its_own_tag(server: Cluster, sql: str, tag: bytes) -> None:
    """However a transaction is opened, the answer is the one that the server would give."""

    async def story(stage: Stage, driver: Driver) -> None:
        assert await driver.says(packets.query(sql)) == "CZ"
        assert bytes(driver.received) == packets.complete(tag.decode()) + packets.ready("T")

    with_driver(server, story)


def test_an_opening_that_is_wrong(server: Cluster) -> None:
    """A BEGIN that the server refuses is refused at once, and opens nothing."""

    async def story(stage: Stage, driver: Driver) -> None:
        assert await driver.says(packets.query("BEGIN ISOLATION LEVEL LOW")) == "EZ"
        assert bytes(driver.received[-1:]) == b"I"
        assert await driver.says(packets.query("INSERT INTO t VALUES (1)")) == "CZ"
        assert rows(stage) == [1]

    with_driver(server, story)


def test_parts_after_an_error(server: Cluster) -> None:
    """After an error the server passes over everything up to the Sync: parts that end in Flush are over at once."""

    async def story(stage: Stage, driver: Driver) -> None:
        assert await driver.says(cycle("INSERT INTO t VALUES (1)") + packets.FLUSH) == "12C"
        assert await driver.says(cycle("SELECT 1 / 0") + packets.FLUSH) == "1E"
        assert await driver.says(cycle("INSERT INTO t VALUES (2)") + packets.FLUSH) == ""
        assert await driver.says(packets.SYNC) == "Z"
        assert rows(stage) == []
        assert await driver.says(cycle("INSERT INTO t VALUES (3)") + packets.FLUSH) == "12C"
        assert await driver.says(packets.SYNC) == "Z"
        assert rows(stage) == [3]

    with_driver(server, story)


def test_a_pipeline_goes_on_after_an_error(server: Cluster) -> None:
    """A driver fetches a failed result in the middle of a pipeline, then others; the connection stays usable."""

    async def program(connection: TrioConnection) -> list[str]:
        seen = []
        try:
            async with connection.pipeline():
                for sql in ("SELECT 1 / 0", "SELECT 5"):
                    try:
                        await (await connection.execute(sql)).fetchone()
                    except psycopg.Error as error:
                        seen.append(type(error).__name__)
        except psycopg.Error as error:
            seen.append(type(error).__name__)
        return [*seen, str(await (await connection.execute("SELECT 7")).fetchone())]

    async def main() -> None:
        async with staged(server, TABLE, "A") as stage:
            await stage.begin("A", program)
            assert (await stage.finish("A"))[0:3:2] == ["DivisionByZero", "(7,)"]

    trio.run(main)


def test_a_cycle_in_parts_is_told_whole(server: Cluster) -> None:
    """What a cycle did in parts is recorded with its commit: by the statement, and not as a bare Sync."""

    async def story(stage: Stage, driver: Driver) -> None:
        await driver.says(cycle("INSERT INTO t VALUES (1)") + packets.FLUSH)
        await driver.says(packets.SYNC)
        told = [(unit.kind, unit.sql, unit.committed) for unit in stage.line("raw").take_ran()]
        assert told == [("plain", "INSERT INTO t VALUES (1)", False), ("plain", "INSERT INTO t VALUES (1)", True)]

    with_driver(server, story)


def test_copy_in_the_extended_protocol(server: Cluster) -> None:
    """A driver that copies by Execute sends a second Sync behind its data, which the server waits for."""

    async def story(stage: Stage, driver: Driver) -> None:
        assert await driver.says(cycle("COPY t FROM STDIN") + packets.SYNC) == "12G"
        data = packets.typed("d", b"1\n2\n") + packets.typed("c")
        assert await driver.says(data + packets.SYNC) == "CZ"
        assert rows(stage) == [1, 2]
        assert await driver.says(cycle("COPY t FROM STDIN") + packets.SYNC) == "12G"
        assert await driver.says(packets.typed("f", b"no\0") + packets.SYNC) == "EZ"
        assert await driver.says(cycle("SELECT 1") + packets.SYNC) == "12DCZ"

    with_driver(server, story)


@pytest.mark.parametrize("sql", ["/* a /* b */ c */ VACUUM t", "-- a /*\nVACUUM t", "VACUUM t"])
def test_what_cannot_run_in_a_transaction(server: Cluster, sql: str) -> None:
    """A statement that Postgres refuses inside a transaction is not put into one, whatever stands before it."""

    async def story(stage: Stage, driver: Driver) -> None:
        assert await driver.says(packets.query(sql)) == "CZ"

    with_driver(server, story)
