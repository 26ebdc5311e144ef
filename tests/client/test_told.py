"""Any target has a client, and asking a program for its transaction changes nothing else about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pgqmodel.client import NewJob, Queue
from pgqmodel.errors import TargetError, UsageError
from pgqmodel.server import Cluster
from pgqmodel.target import compile_statement
from pgqmodel.target.program import Statements
from working import Side, prepared, take, with_queue


@pytest.fixture(scope="module")
def side(real_server: Cluster) -> Iterator[Side]:
    """One database for all of these tests."""
    with prepared(real_server, "told") as side:
        yield side


def test_any_target_has_a_client(real_server: Cluster) -> None:
    """A queue of a target file is used by the same methods; what it cannot do is said."""
    with prepared(real_server, "other", "baseline") as side:

        async def story(queue: Queue) -> None:
            assert await queue.create_run("r", [NewJob(stage=0), NewJob(stage=1, environment="prod")]) == 2
            claim = await take(queue)
            assert await queue.heartbeat(claim)
            assert await queue.complete(claim)
            claim = await take(queue)
            assert await queue.lock(claim, "prod")
            assert await queue.deploy(claim, "prod")
            assert await queue.unlock(claim, "prod")
            assert await queue.reclaim() == {}
            assert not await queue.wait_woken(0)
            with pytest.raises(UsageError, match="Use stages"):
                await queue.create_run("r", [NewJob(), NewJob(needs=(0,))])
            with pytest.raises(TargetError, match="no operation 'log'"):
                await queue.log(claim, ["line"])

        with_queue(side, story, target="baseline")


def _program(*statements: str, **how: Any) -> Statements:
    return Statements(name="log", statements=tuple(compile_statement("here", sql) for sql in statements), **how)


@pytest.mark.both_majors
@pytest.mark.parametrize(
    "program",
    [
        _program("INSERT INTO t VALUES (%(i)s) RETURNING i"),
        _program("INSERT INTO t VALUES (%(i)s)"),
        _program("UPDATE t SET i = i WHERE i = -1"),
        _program("SELECT 1 / (%(i)s::int - %(i)s::int)"),
        _program("SELECT 5 AS j", "INSERT INTO t VALUES (%(j)s) RETURNING i", transaction=True),
        _program("SELECT 5 AS j WHERE false", "INSERT INTO t VALUES (%(j)s)", transaction=True),
        _program("SELECT 7 AS j", "INSERT INTO t VALUES (%(j)s)", isolation="serializable"),
        _program("SELECT 8 AS j", "INSERT INTO t VALUES (%(j)s)"),
        _program("SELECT 8 AS j", "SELECT 1/0", transaction=True),
    ],
)
def test_telling_a_transaction_changes_nothing_else(side: Side, program: Statements) -> None:
    """A program ends the same, whether it is asked for its transaction or not; also where only the commit fails."""
    side.sql("CREATE TABLE IF NOT EXISTS t (i integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
    side.sql("TRUNCATE t")

    async def story(queue: Queue) -> None:
        connection = queue._connection.connection
        plain, telling = [], []
        for outcomes, tell in ((plain, False), (telling, True)):
            side.sql("TRUNCATE t")
            for _ in range(3):
                outcome = await program.run(connection, {"i": 1}, tell_transaction=tell)
                outcomes.append((outcome.status, dict(outcome.row), outcome.error))
                assert connection.info.transaction_status.name == "IDLE"
        assert telling == plain

    with_queue(side, story)
