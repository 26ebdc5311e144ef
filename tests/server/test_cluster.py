"""The embedded server: it starts, crashes, recovers, and its clock stands still until it is moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgqmodel.clock import START_US
from pgqmodel.errors import ServerGoneError, UsageError
from pgqmodel.server import Cluster, SideConnection, installation, open_server

NOW_US = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us"


@pytest.fixture
def cluster(major: int) -> Iterator[Cluster]:
    """A server that the test may break."""
    with Cluster(major) as own:
        yield own


def test_the_server_is_of_the_version_it_says(cluster: Cluster, major: int) -> None:
    """`version` is what the server itself answers."""
    with SideConnection(cluster.conninfo()) as side:
        assert side.query("SHOW server_version")[0]["server_version"].startswith(cluster.version)
    assert cluster.version.startswith(str(major))


def test_a_crash_keeps_what_was_committed_and_loses_what_was_not(cluster: Cluster) -> None:
    """After SIGKILL and restart, committed rows are there and open transactions are not."""
    with SideConnection(cluster.conninfo()) as side:
        side.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
        side.execute("BEGIN; INSERT INTO kept VALUES (2)")
        cluster.crash()
        assert not cluster.running
        with pytest.raises(ServerGoneError):
            side.query("SELECT 1")
        cluster.restart()
        side.reopen()
        assert side.query("SELECT n FROM kept") == [{"n": 1}]


def test_the_clock_is_frozen_and_outlives_a_crash(cluster: Cluster) -> None:
    """Time moves by exactly what it is advanced, in open sessions and after a restart."""
    assert cluster.clock is not None
    with SideConnection(cluster.conninfo()) as side:
        assert side.query(NOW_US) == [{"us": START_US}]
        cluster.clock.advance(30_000_001)
        assert side.query(NOW_US) == [{"us": START_US + 30_000_001}]
        cluster.crash()
        cluster.restart()
        side.reopen()
        assert side.query(NOW_US) == [{"us": START_US + 30_000_001}]
        cluster.clock.reset(0)
        assert side.query(NOW_US) == [{"us": START_US}]


def test_a_poke_fires_the_timeouts_that_are_due(cluster: Cluster) -> None:
    """A statement that sleeps past its timeout is ended as soon as the clock is moved and its backend poked."""
    assert cluster.clock is not None
    with SideConnection(cluster.conninfo()) as side, psycopg.connect(cluster.conninfo(), autocommit=True) as asleep:
        asleep.execute("SET statement_timeout = '10s'")
        asleep.pgconn.send_query(b"SELECT pg_sleep(3600)")
        pid = asleep.info.backend_pid
        sleeping = "SELECT wait_event FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"
        while not side.query(sleeping, (pid,)):
            pass
        cluster.clock.advance(10_000_000)
        cluster.poke(pid)
        result = asleep.pgconn.get_result()
        assert result is not None
        assert b"statement timeout" in result.error_message
        assert asleep.pgconn.get_result() is None


def test_closing_leaves_nothing_and_twice_is_fine(major: int) -> None:
    """After `close` neither the directory nor the server is there."""
    cluster = Cluster(major)
    cluster.close()
    cluster.close()
    assert not cluster.running
    assert not cluster.directory.exists()


def test_a_server_without_the_clock_has_real_time(major: int) -> None:
    """`clock=False` leaves the server's time alone."""
    with Cluster(major, clock=False) as cluster, SideConnection(cluster.conninfo()) as side:
        assert cluster.clock is None
        assert side.query(NOW_US) != side.query(NOW_US)


def test_a_server_that_cannot_start_says_why(cluster: Cluster) -> None:
    """The message ends in the server's own last words."""
    cluster.crash()
    (cluster.directory / "data" / "global" / "pg_control").unlink()
    with pytest.raises(ServerGoneError, match="pg_control"):
        cluster.restart()


def test_the_stock_isolationtester_is_in_the_wheel(major: int) -> None:
    """Reports are proven in it, so it has to be there."""
    assert Path(installation(major).isolationtester).exists()


@pytest.mark.parametrize(("which", "part"), [("7", "18 and 16"), ("eighteen", "18, 16, or a URL")])
def test_a_wrong_name_of_a_server_is_a_usage_error(which: str, part: str) -> None:
    """`--pg` says what it would have taken."""
    with pytest.raises(UsageError, match=part):
        open_server(which)
