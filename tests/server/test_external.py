"""A server that others run: a database of our own in it, gone afterwards, and errors that keep the password."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pgqmodel.errors import UsageError
from pgqmodel.server import Cluster, Database, External, SideConnection

SETUP = """
CREATE TABLE jobs (id int GENERATED ALWAYS AS IDENTITY, made timestamptz DEFAULT now());
INSERT INTO jobs DEFAULT VALUES;
"""
NOW_US = "SELECT (extract(epoch FROM now()) * 1000000)::bigint AS us"


@pytest.fixture
def plain(server: Cluster) -> Iterator[External]:
    """The server as a user who may create databases and nothing else sees it."""
    with SideConnection(server.conninfo()) as side:
        side.execute("CREATE ROLE plain LOGIN CREATEDB")
        with External(server.conninfo().replace("user=postgres", "user=plain")) as external:
            yield external
        side.execute("DROP ROLE plain")


def databases(server: Cluster) -> set[str]:
    """The names of all databases there are."""
    with SideConnection(server.conninfo()) as side:
        return {row["datname"] for row in side.query("SELECT datname FROM pg_database")}


def test_our_database_is_gone_afterwards(server: Cluster) -> None:
    """Closing leaves the server with the databases it had."""
    before = databases(server)
    with External(server.conninfo()) as external:
        assert external.version == server.version
        assert external.address == server.address
        assert not external.can_crash
        with Database(external, external.database_name):
            assert external.database_name in databases(server)
    assert databases(server) == before


def test_a_reset_needs_no_superuser(plain: External) -> None:
    """Without the right to switch off triggers a reset brings back the same state."""
    with Database(plain, plain.database_name) as database, SideConnection(database.conninfo()) as side:
        database.run_setup(SETUP, "setup")
        before = side.query("SELECT * FROM jobs")
        for clean in (True, False, False):
            database.reset(clean=clean)
            assert side.query("SELECT * FROM jobs") == before
            side.execute("INSERT INTO jobs DEFAULT VALUES")
            assert side.query("SELECT max(id) AS id FROM jobs") == [{"id": 2}]


def test_the_fallback_clock_moves_and_resets_leave_it_alone(plain: External) -> None:
    """now() is moved by what the clock is advanced, until the clock itself is reset; what is not covered is said."""
    with Database(plain, plain.database_name) as database, SideConnection(database.conninfo()) as side:
        database.run_setup(SETUP, "setup")
        start = side.query(NOW_US)[0]["us"]
        database.clock.advance(60_000_000)
        database.reset(clean=True)
        database.reset()
        assert side.query(NOW_US) == [{"us": start + 60_000_000}]
        database.clock.reset(0)
        assert side.query(NOW_US) == [{"us": start}]
        assert "CURRENT_TIMESTAMP" in database.clock.limits


def test_a_start_sweeps_what_killed_runs_left(server: Cluster) -> None:
    """Old databases of ours are dropped; one that is in use, one just made and those of others are not."""
    old = f"pgqmodel_{int(time.time()) - 3600:08x}"
    young = f"pgqmodel_{int(time.time()):08x}00000000"
    left, used, others = f"{old}00000000", f"{old}00000001", "pgqmodel_of_somebody"
    with SideConnection(server.conninfo()) as side:
        for name in (left, used, young, others):
            side.execute(f"CREATE DATABASE {name}")
        with SideConnection(server.conninfo(used)), External(server.conninfo()):
            assert left not in databases(server)
            assert {used, young, others} <= databases(server)
        for name in (used, young, others):
            side.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("postgresql://u:hu sh@host/db", "cannot read"),
        ("postgresql://u:hush@localhost:1/db", "[Cc]onnection refused"),
        ("host=/nowhere user=u password=hush", "No such file"),
    ],
)
def test_a_url_that_cannot_serve_is_a_usage_error_without_the_password(url: str, part: str) -> None:
    """The message has the cause and what to do, and never the password."""
    with pytest.raises(UsageError, match=part) as caught:
        External(url)
    assert "hu" not in str(caught.value)


def test_a_user_who_may_not_create_databases_is_told(server: Cluster) -> None:
    """The missing right is named."""
    with SideConnection(server.conninfo()) as side:
        side.execute("CREATE ROLE bare LOGIN")
        with pytest.raises(UsageError, match="CREATEDB"):
            External(server.conninfo().replace("user=postgres", "user=bare"))
        side.execute("DROP ROLE bare")
