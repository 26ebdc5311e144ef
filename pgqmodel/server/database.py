"""One world's database: created, set up, brought back to the state after set-up between stories, dropped.

Two ways back. The clean one truncates, so that the layout of the tables on disk is a new database's as well. The fast
one deletes, puts back what set-up had inserted and resets the sequences, in one round trip; what it leaves is the free
space of the rows before, so it depends on the stories before. Batches start clean, so they are reproducible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import psycopg

from pgqmodel.errors import TargetError
from pgqmodel.server.connection import SideConnection
from pgqmodel.server.fallback import FallbackClock

if TYPE_CHECKING:
    from pgqmodel.server import Server
    from pgqmodel.server.clock import ServerClock

__all__ = ["Database"]

FAST_RESETS_MAX = 200
_TABLES = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.relkind = 'm' AS view,
  (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname), ', ' ORDER BY attnum) FROM pg_catalog.pg_attribute
   WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgqmodel', 'pgqmodel_clock')
  AND n.nspname NOT LIKE 'pg\\_%' ORDER BY c.oid
"""
_SEQUENCES = """
SELECT name, pg_catalog.quote_literal(name) AS literal
FROM (SELECT pg_catalog.format('%I.%I', schemaname, sequencename) AS name FROM pg_catalog.pg_sequences) AS found
ORDER BY name
"""


class Database:
    """A database of our own on a server; a context manager that drops it."""

    def __init__(self, server: Server, name: str, *, real_time: bool = False) -> None:
        """Create it. With `real_time` its time is the server's own, which goes on by itself."""
        self._server = server
        self.name = name
        self._truncate = self._delete = self._restore = ""
        self._fast_resets = 0
        with SideConnection(server.conninfo()) as side:
            side.execute(f'CREATE DATABASE "{name}"')
        self._side = SideConnection(self.conninfo())
        self._clock: ServerClock | FallbackClock | None = server.clock
        if self._clock is None and not real_time:
            self._clock = FallbackClock(self._side, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def clock(self) -> ServerClock | FallbackClock:
        """The clock that stands still until it is moved; there is none in real time."""
        assert self._clock is not None, "a database in real time has no clock of ours"
        return self._clock

    def conninfo(self, **changes: str) -> str:
        """How to connect to it; `changes` replace parts, such as the host of a gate."""
        return psycopg.conninfo.make_conninfo(self._server.conninfo(self.name), **changes)

    def run_setup(self, script: str, label: str) -> None:
        """Run one script of the target's; TargetError that names it if Postgres refuses."""
        try:
            with psycopg.connect(self.conninfo(), autocommit=True) as connection:
                connection.execute(script.encode())
        except psycopg.Error as error:
            reason = (error.diag.message_primary or str(error)).strip()
            where = _line(script, error.diag.statement_position)
            message = (
                f"{label}: Postgres refuses the set-up{where}: {reason}; expected SQL that runs in an empty database"
            )
            raise TargetError(message) from error
        self._truncate = ""

    def reopen(self) -> None:
        """Connect again, after the server was restarted."""
        self._side.reopen()

    def reset(self, *, clean: bool = False) -> None:
        """Back to the state after set-up."""
        if not self._truncate:
            self._learn()
        if clean or self._fast_resets >= FAST_RESETS_MAX:
            self._fast_resets = 0
            self._side.execute(self._truncate + self._restore)
        else:
            self._fast_resets += 1
            self._side.execute(self._delete + self._restore)

    def _learn(self) -> None:
        """Keep the rows that set-up inserted, and write the statements that bring them back."""
        tables = self._side.query(_TABLES)
        columns = {row["name"]: row["columns"] for row in tables if not row["view"]}
        plain = list(columns)
        self._side.execute("DROP SCHEMA IF EXISTS pgqmodel CASCADE; CREATE SCHEMA pgqmodel")
        kept = []
        for number, name in enumerate(plain):
            if columns[name] and self._side.query(f"SELECT 1 FROM ONLY {name} LIMIT 1"):
                # ONLY, and no generated columns: what children hold is theirs, and what is computed is computed again.
                self._side.execute(f"CREATE TABLE pgqmodel.kept_{number} AS SELECT {columns[name]} FROM ONLY {name}")
                kept.append((number, name))
        replica = "SET session_replication_role = replica;" if self._server.superuser else ""
        back = [
            f"INSERT INTO {name} ({columns[name]}) OVERRIDING SYSTEM VALUE SELECT * FROM pgqmodel.kept_{number};"
            for number, name in kept
        ]
        sequences = [self._sequence(row["name"], row["literal"]) for row in self._side.query(_SEQUENCES)]
        views = [f"REFRESH MATERIALIZED VIEW {row['name']};" for row in tables if row["view"]]
        self._truncate = replica + (f"TRUNCATE {', '.join(plain)} CASCADE;" if plain else "SELECT 1;")
        self._delete = replica + "".join(f"DELETE FROM ONLY {name};" for name in plain) or "SELECT 1;"
        if not self._server.superuser:
            self._delete = self._truncate
        self._restore = "".join((*back, *sequences, *views)) + (
            "RESET session_replication_role" if self._server.superuser else "SELECT 1"
        )

    def _sequence(self, name: str, literal: str) -> str:
        """The statement that sets a sequence to where it stands now."""
        (state,) = self._side.query(f"SELECT last_value, is_called FROM {name}")
        return f"SELECT pg_catalog.setval({literal}, {state['last_value']}, {state['is_called']});"

    def close(self) -> None:
        """Drop the database, whoever is still connected; closing twice is fine, and a server of ours may be down."""
        self._side.close()
        if not self._server.running:
            return
        with SideConnection(self._server.conninfo()) as side:
            side.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


def _line(script: str, position: str | None) -> str:
    """Where in a script an error is, for people."""
    return f" at line {script[: int(position)].count(chr(10)) + 1}" if position else ""
