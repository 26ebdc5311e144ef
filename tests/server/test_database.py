"""A world's database: whatever a story did to it, a reset brings back the state after set-up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgqmodel.errors import TargetError
from pgqmodel.server import Cluster, Database, SideConnection

SETUP = """
CREATE TABLE parent (n int);
CREATE TABLE child (m int) INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2, 3);
CREATE TABLE computed (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, word text,
  loud text GENERATED ALWAYS AS (upper(word)) STORED);
INSERT INTO computed (word) VALUES ('a'), ('b');
CREATE TABLE refers (id int REFERENCES computed);
INSERT INTO refers VALUES (2);
CREATE SCHEMA "o'dd";
CREATE TABLE "o'dd"."ta'ble" (id serial, n int);
INSERT INTO "o'dd"."ta'ble" (n) VALUES (7);
CREATE SEQUENCE untouched;
SELECT setval('untouched', 5, false);
CREATE TABLE split (id int, word text) PARTITION BY LIST (id);
CREATE TABLE split_one PARTITION OF split FOR VALUES IN (1);
CREATE TABLE split_two PARTITION OF split FOR VALUES IN (2);
INSERT INTO split VALUES (1, 'x'), (2, 'y');
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM split;
CREATE TABLE empty ();
"""
STORY = """
DELETE FROM refers; DELETE FROM computed; INSERT INTO computed (word) VALUES ('c');
UPDATE parent SET n = 9; DELETE FROM split WHERE id = 1; REFRESH MATERIALIZED VIEW counted;
SELECT nextval('untouched'); INSERT INTO "o'dd"."ta'ble" (n) VALUES (8); INSERT INTO empty DEFAULT VALUES;
"""
STATE = """
SELECT (SELECT array_agg(n ORDER BY n) FROM ONLY parent) AS parent,
  (SELECT array_agg((n, m)::text) FROM child) AS child,
  (SELECT array_agg((id, word, loud)::text ORDER BY id) FROM computed) AS computed,
  (SELECT array_agg(id) FROM refers) AS refers, (SELECT array_agg((id, n)::text) FROM "o'dd"."ta'ble") AS odd,
  (SELECT (last_value, is_called)::text FROM untouched) AS untouched,
  (SELECT last_value FROM computed_id_seq) AS identity,
  (SELECT array_agg((id, word)::text ORDER BY id) FROM split) AS split, (SELECT n FROM counted) AS counted,
  (SELECT count(*) FROM empty) AS empty
"""


@pytest.fixture
def database(server: Cluster) -> Iterator[Database]:
    """A database of its own for one test."""
    with Database(server, "pgqmodel_test_reset") as own:
        yield own


@pytest.mark.parametrize("clean", [True, False])
def test_a_reset_brings_back_the_state_after_set_up(database: Database, clean: bool) -> None:
    """Rows, sequences, partitions, computed columns and materialised views are as set-up left them, each time."""
    database.run_setup(SETUP, "setup")
    with SideConnection(database.conninfo()) as side:
        before = side.query(STATE)
        database.reset(clean=clean)
        for _ in range(3):
            assert side.query(STATE) == before
            side.execute(STORY)
            assert side.query(STATE) != before
            database.reset(clean=clean)
        assert side.query(STATE) == before


def test_tables_do_not_grow_over_many_fast_resets(database: Database) -> None:
    """The free space that fast resets leave is given back in between."""
    database.run_setup("CREATE TABLE jobs (id int, payload text)", "setup")
    with SideConnection(database.conninfo()) as side:
        for _ in range(500):
            side.execute("INSERT INTO jobs SELECT n, repeat('x', 200) FROM generate_series(1, 4) AS n")
            database.reset()
        assert side.query("SELECT pg_relation_size('jobs') < 1000000 AS small") == [{"small": True}]


def test_a_database_without_tables_can_be_reset(database: Database) -> None:
    """Nothing to bring back is no error."""
    database.run_setup("SELECT 1", "setup")
    database.reset(clean=True)
    database.reset()


@pytest.mark.parametrize(
    ("said", "found"),
    [('SET search_path TO "App", public', "here"), ("SELECT set_config('search_path', '', false)", "elsewhere")],
    ids=["a schema", "none, as a dump says"],
)
def test_a_search_path_of_the_set_up_holds_for_all(database: Database, said: str, found: str) -> None:
    """What a set-up makes in its own schema, each session finds there; that of a dump is for the dump alone."""
    database.run_setup("CREATE TABLE public.jobs AS SELECT 'elsewhere' AS word; CREATE SCHEMA \"App\"", "first.sql")
    database.run_setup(f"{said}; CREATE TABLE \"App\".jobs AS SELECT 'here' AS word", "second.sql")
    with SideConnection(database.conninfo()) as side:
        assert side.query("SELECT word FROM jobs") == [{"word": found}]


def test_a_set_up_that_postgres_refuses_is_the_targets_fault(database: Database) -> None:
    """The message names the script, the line and the reason."""
    with pytest.raises(TargetError, match=r"schema\.sql: Postgres refuses the set-up at line 2: .*nowhere"):
        database.run_setup("SELECT 1;\nSELECT * FROM nowhere", "schema.sql")


def test_a_dropped_database_is_gone_whoever_is_connected(server: Cluster) -> None:
    """`close` does not wait for others, and twice is fine."""
    database = Database(server, "pgqmodel_test_drop")
    with SideConnection(database.conninfo()), SideConnection(server.conninfo()) as side:
        database.close()
        database.close()
        assert not side.query("SELECT 1 AS one FROM pg_database WHERE datname = 'pgqmodel_test_drop'")


def test_an_extension_that_is_not_there_is_told_with_those_that_are(database: Database) -> None:
    """The message names the extensions there are, and --pg URL for all others."""
    with pytest.raises(TargetError, match=r"comes with plpgsql, vector and no others.*--pg URL"):
        database.run_setup("CREATE EXTENSION pgcrypto", "schema.sql")
