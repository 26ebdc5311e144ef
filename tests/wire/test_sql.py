"""Kinds of statements, as a table: what may run in a transaction of ours, and what must pass whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqmodel.wire import StatementKind, kind
from pgqmodel.wire.sql import locks_what_it_reads

KINDS = {
    StatementKind.BEGIN: ["BEGIN", "begin isolation level serializable", "START TRANSACTION", "/* hi */ BEGIN -- now"],
    StatementKind.COMMIT: ["COMMIT", "END", "commit and chain", "COMMIT;"],
    StatementKind.ROLLBACK: ["ROLLBACK", "ABORT", "rollback work"],
    StatementKind.SESSION: ["SET x = 1", "SHOW x", "LISTEN jobs", "DEALLOCATE ALL", "", ";", "-- nothing", "RESET ALL"],
    StatementKind.PLAIN: [
        "SELECT 1",
        "UPDATE jobs SET state = 'begin; commit'",
        "INSERT INTO t VALUES ($$ ; COMMIT; $$)",
        "INSERT INTO t VALUES ($a$ $$; BEGIN $$ $a$)",
        'DELETE FROM "commit; now"',
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "(SELECT 1)",
        "ROLLBACK TO SAVEPOINT s",
        "SELECT E'it\\'s; COMMIT'",
        "CREATE TABLE t (id int)",
        "NOTIFY jobs",
        "COPY t TO STDOUT",
        "UPDATE t SET a = 1; SELECT 2",
        "SELECT 'a'';COMMIT;'",
    ],
    StatementKind.WHOLE: [
        "VACUUM",
        "CREATE DATABASE d",
        "create unique index concurrently i ON t (a)",
        "CALL p()",
        "DO $$ BEGIN COMMIT; END $$",
        "SAVEPOINT s",
        "BEGIN; SELECT 1; COMMIT",
        "SELECT 1; COMMIT",
        "COMMIT PREPARED 'x'",
        "PREPARE TRANSACTION 'x'",
        "ALTER SYSTEM SET x = 1",
        "LOCK TABLE t",
        "COPY t (a, b)\nFROM STDIN WITH (FORMAT csv)",
    ],
}


@pytest.mark.parametrize(("expected", "sql"), [(expected, sql) for expected, texts in KINDS.items() for sql in texts])
def test_kinds(expected: StatementKind, sql: str) -> None:
    """Each statement is of the kind that Postgres' grammar makes it, whatever stands in quotes and comments."""
    assert kind(sql) is expected


@given(st.text(st.sampled_from("'\"$;-/*e \\nbegincommit\0ü"), max_size=60))
def test_any_text_has_a_kind(sql: str) -> None:
    """There is no text that the tokenizer cannot judge, and none that it judges now so and now so."""
    assert kind(sql) is kind(sql)
    assert kind(f"{sql.strip()} ") in StatementKind


@pytest.mark.parametrize(
    ("sql", "locks"),
    [
        ("SELECT id FROM jobs WHERE pg_try_advisory_lock(id)", True),
        ("with r as (select id from jobs) select id from r where pg_advisory_xact_lock_shared (id) is null;", True),
        ("(SELECT pg_try_advisory_xact_lock(id) FROM jobs)", True),
        ("SELECT pg_try_advisory_lock(1)", False),
        ("SELECT pg_advisory_unlock(id) FROM jobs", False),
        ("SELECT id FROM jobs FOR UPDATE SKIP LOCKED", False),
        ("UPDATE jobs SET a = 1 FROM x WHERE pg_try_advisory_lock(x.id)", False),
        ("WITH d AS (DELETE FROM jobs RETURNING id) SELECT pg_advisory_lock(id) FROM d", False),
        ("SELECT id FROM jobs WHERE note = 'pg_advisory_lock(1)'", False),
        ("SELECT 1 FROM a; SELECT pg_advisory_lock(id) FROM b", False),
    ],
)
def test_a_select_that_locks_the_rows_it_finds(sql: str, locks: bool) -> None:
    """One that changes rows takes its snapshot when it runs, and one without rows has no use for a snapshot."""
    assert locks_what_it_reads(sql) is locks
