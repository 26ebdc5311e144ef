"""What reading the log promises: every committed transaction once, in commit order, and nothing left behind."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgqmodel.errors import UsageError
from pgqmodel.server import Cluster, Database
from pgqmodel.witness import slot
from pgqmodel.witness.slot import Witness
from pgqmodel.witness.transactions import RowChange

SETUP = """
CREATE TABLE jobs (id int PRIMARY KEY, state text, payload text);
CREATE TABLE bare (word text);
CREATE TABLE lines (id int PRIMARY KEY, line text);
CREATE UNLOGGED TABLE scratch (id int);
"""


WITNESSES = "application_name = 'pgqmodel-witness'"


@pytest.fixture
def database(server: Cluster) -> Iterator[Database]:
    """A database with a few tables."""
    with Database(server, "witnessed") as found:
        found.run_setup(SETUP, "set-up")
        yield found


@pytest.fixture
def witness(database: Database, tmp_path: Path) -> Iterator[Witness]:
    """A witness of two of them."""
    with Witness(database.conninfo(), {"public.jobs", "public.bare"}, tmp_path / "spool") as found:
        yield found


def run(database: Database, *statements: str) -> None:
    """Run statements, each committed by itself."""
    with psycopg.connect(database.conninfo(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def changes(witness: Witness) -> list[RowChange]:
    """Every change that was read."""
    witness.drain()
    return [change for transaction in witness.transactions() for change in transaction.changes]


def left(server: Cluster, name: str) -> list[tuple[str]]:
    """Slots and publications that are there."""
    with psycopg.connect(server.conninfo(name)) as connection:
        return connection.execute(
            "SELECT slot_name::text FROM pg_replication_slots UNION ALL SELECT pubname FROM pg_publication"
        ).fetchall()


def test_transactions_come_whole_in_commit_order(database: Database, witness: Witness) -> None:
    """What began first but committed last comes last, and what was rolled back does not come."""
    with psycopg.connect(database.conninfo()) as slow:
        slow.execute("INSERT INTO jobs VALUES (1, 'a'), (2, 'a')")
        run(database, "INSERT INTO jobs VALUES (3, 'a')", "BEGIN; INSERT INTO jobs VALUES (9); ROLLBACK")
        xid = slow.execute("SELECT pg_current_xact_id()::text::bigint % (1::bigint << 32)").fetchone()
    witness.drain()
    first, second = witness.transactions()
    assert [change.key for change in first.changes] == [("3",)]
    assert [change.key for change in second.changes] == [("1",), ("2",)]
    assert xid == (second.xid,)
    assert first.lsn < second.lsn


def test_rows_are_told_by_who_they_were_and_are(database: Database, witness: Witness) -> None:
    """Inserts, updates, new keys, deletes and truncation, for tables with a key and without."""
    run(
        database,
        "INSERT INTO jobs VALUES (1, 'a')",
        "UPDATE jobs SET state = NULL",
        "UPDATE jobs SET id = 2",
        "DELETE FROM jobs",
        "INSERT INTO bare VALUES ('x')",
        "UPDATE bare SET word = 'y'",
        "TRUNCATE bare",
    )
    row = {"id": "1", "state": "a", "payload": None}
    assert changes(witness) == [
        RowChange(table="public.jobs", key=("1",), row=row),
        RowChange(table="public.jobs", old=("1",), key=("1",), row=row | {"state": None}),
        RowChange(table="public.jobs", old=("1",), key=("2",), row=row | {"id": "2", "state": None}),
        RowChange(table="public.jobs", old=("2",)),
        RowChange(table="public.bare", key=("x",), row={"word": "x"}),
        RowChange(table="public.bare", old=("x",), key=("y",), row={"word": "y"}),
        RowChange(table="public.bare"),
    ]


def test_what_was_not_touched_is_put_back(database: Database, witness: Witness) -> None:
    """A value too large for its row, which the log does not repeat, is there after every later change of the row."""
    large = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 300) AS n)"
    run(
        database,
        f"INSERT INTO jobs VALUES (1, 'a', {large})",
        "UPDATE jobs SET state = 'b'",
        "UPDATE jobs SET id = 2",
        "UPDATE jobs SET state = 'c'",
    )
    payloads = [change.row["payload"] for change in changes(witness) if change.row is not None]
    assert payloads[0] is not None
    assert len(payloads[0]) == 9600
    assert payloads == [payloads[0]] * 4


def test_other_tables_are_seen_but_not_read(database: Database, witness: Witness) -> None:
    """A transaction of a table whose rows nobody wants is told, without its changes; its values are not even sent."""
    run(
        database,
        "INSERT INTO lines VALUES (1, repeat('x', 100000))",
        "DELETE FROM lines",
        "INSERT INTO scratch VALUES (1)",
    )
    witness.drain()
    assert [transaction.changes for transaction in witness.transactions()] == [(), ()]


@pytest.mark.parametrize("schema", ["pgqmodel", "pgqmodel_clock"])
def test_a_schema_with_our_name_is_the_applications(database: Database, tmp_path: Path, schema: str) -> None:
    """Tables in a schema that is called as the tool are witnessed as all others are."""
    run(database, f"CREATE SCHEMA {schema}", f"CREATE TABLE {schema}.jobs (id int PRIMARY KEY)")
    with Witness(database.conninfo(), {f"{schema}.jobs"}, tmp_path / "spool") as witness:
        run(database, f"INSERT INTO {schema}.jobs VALUES (1)")
        assert changes(witness) == [RowChange(table=f"{schema}.jobs", key=("1",), row={"id": "1"})]


def test_a_transaction_larger_than_a_batch_comes_whole(database: Database, tmp_path: Path) -> None:
    """A batch ends between transactions, not within one."""
    with Witness(database.conninfo(), {"public.jobs"}, tmp_path / "spool", batch_messages=10) as witness:
        run(
            database,
            "INSERT INTO jobs SELECT generate_series(1, 500)",
            *["UPDATE jobs SET state = 'b' WHERE id = 1"] * 30,
        )
        witness.drain()
        assert [len(transaction.changes) for transaction in witness.transactions()] == [500, *[1] * 30]


def test_nothing_is_left_behind(server: Cluster, database: Database, tmp_path: Path) -> None:
    """Slot and publication are gone afterwards, after an exception too."""
    with pytest.raises(KeyError), Witness(database.conninfo(), {"public.jobs"}, tmp_path / "spool") as witness:
        assert len(left(server, database.name)) == 2
        witness.read()
        raise KeyError
    assert left(server, database.name) == []


def test_a_table_without_a_log_is_refused(server: Cluster, database: Database, tmp_path: Path) -> None:
    """An unlogged table cannot be witnessed; nothing is left of the attempt."""
    with pytest.raises(UsageError, match=r"public\.scratch is observed but not in the write-ahead log"):
        Witness(database.conninfo(), {"public.scratch"}, tmp_path / "spool").__enter__()
    assert left(server, database.name) == []


def test_a_terminated_connection_loses_nothing(database: Database, witness: Witness) -> None:
    """A witness whose session is ended connects again and goes on where it was."""
    for number in range(20):
        run(database, f"INSERT INTO jobs VALUES ({number})")
        if number % 5 == 0:
            witness.read()
            run(database, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {WITNESSES}")
    assert [change.key for change in changes(witness)] == [(str(number),) for number in range(20)]


def test_a_crash_neither_loses_nor_doubles(major: int, tmp_path: Path) -> None:
    """The server is killed again and again under load: what it still has is what was read, once each and in order."""
    with Cluster(major, clock=False) as server, Database(server, "witnessed") as database:
        database.run_setup(SETUP, "set-up")
        with Witness(database.conninfo(), {"public.jobs"}, tmp_path / "spool", batch_messages=50) as witness:
            for life in range(4):
                writer = threading.Thread(target=_write, args=(database.conninfo(), life * 100_000))
                writer.start()
                while witness.read() < 50 or witness.read() < 50:
                    pass
                server.crash()
                writer.join()
                assert witness.read() == 0
                server.restart()
            found = [change.key for change in changes(witness)]
            database.reopen()
            with psycopg.connect(database.conninfo()) as connection:
                rows = connection.execute("SELECT id::text FROM jobs ORDER BY jobs.id").fetchall()
        assert found == rows
        assert left(server, database.name) == []


def _write(conninfo: str, number: int) -> None:
    """Insert rows until the server is gone."""
    with pytest.raises(psycopg.OperationalError), psycopg.connect(conninfo, autocommit=True) as connection:
        while True:
            number += 1
            connection.execute("INSERT INTO jobs VALUES (%s)", [number])


def test_the_slot_may_stand_further_back(database: Database, witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes a second time, because the slot was not moved or not saved, is dropped."""
    monkeypatch.setattr(slot, "_lsn_text", lambda lsn: "0/1")
    run(database, "INSERT INTO jobs VALUES (1)")
    with contextlib.suppress(psycopg.Error):
        witness.read()
    monkeypatch.undo()
    run(database, "INSERT INTO jobs VALUES (2)")
    assert [change.key for change in changes(witness)] == [("1",), ("2",)]
