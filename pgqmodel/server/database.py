"""The database of one world: created, set up, restored between stories to the state after set-up, and dropped.

There are two ways to restore it. The clean reset truncates the tables, so that even their layout on disk is that of a
new database. The fast reset deletes the rows, inserts those of the set-up again and resets the sequences, in one round
trip. It leaves the free space of the old rows, so it depends on the stories before. Batches start with a clean reset,
so they are reproducible.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Self

import psycopg

from pgqmodel.errors import StuckError, TargetError
from pgqmodel.server.connection import SideConnection, connect_guarded
from pgqmodel.server.fallback import FallbackClock

if TYPE_CHECKING:
    from pgqmodel.clock import ServerClock
    from pgqmodel.server import Server

__all__ = ["Database"]

FAST_RESETS_MAX = 200
"""Fast resets leave dead rows, and nothing vacuums them away; after so many a clean reset removes them."""
SETUP_SECONDS_MAX = 30.0
"""The real time that one script of the set-up may take; every process of every run sets its world up."""
SETUP_BYTES_MAX = 32 * 1024 * 1024
"""The size of the rows that set-up may leave in its tables: they are inserted again before every story."""
_TABLES = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.relkind = 'm' AS view,
  (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname), ', ' ORDER BY attnum) FROM pg_catalog.pg_attribute
   WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname <> ALL ($1)
  AND n.nspname NOT LIKE 'pg\\_%' ORDER BY c.oid
"""
_SIZE = (
    "SELECT coalesce(sum(pg_catalog.pg_table_size(name::regclass)), 0)::bigint AS bytes FROM unnest($1::text[]) AS name"
)
_NO_SUCH_EXTENSION = "0A000"
_EXTENSIONS = "SELECT name FROM pg_catalog.pg_available_extensions ORDER BY name"
_SEARCH_PATH = b"""
SELECT setting FROM pg_catalog.pg_settings
WHERE name = 'search_path' AND setting <> reset_val AND setting NOT IN ('', '""')
"""
"""Where a set-up has said where its names lie; a dump says "nowhere", and means itself alone."""
_SEQUENCES = """
SELECT name, pg_catalog.quote_literal(name) AS literal
FROM (SELECT pg_catalog.format('%I.%I', schemaname, sequencename) AS name FROM pg_catalog.pg_sequences) AS found
ORDER BY name
"""


class Database:
    """A database of our own on a server; a context manager that drops it."""

    def __init__(self, server: Server, name: str, *, real_time: bool = False) -> None:
        """Create it. With `real_time` it uses the server's own clock, which moves by itself."""
        self._server = server
        self.name = name
        self._truncate = self._delete = self._restore = ""
        self._label = "the set-up"
        self._own: list[str] = []
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
        """The clock that stands still until it is moved; there is none with `real_time`."""
        assert self._clock is not None, "a database in real time has no clock of ours"
        return self._clock

    def conninfo(self, **changes: str) -> str:
        """Its connection string; `changes` replace parts, such as the host by that of a gate."""
        return psycopg.conninfo.make_conninfo(self._server.conninfo(self.name), **changes)

    @property
    def address(self) -> dict[str, str]:
        """The parts of its connection string, by libpq's names for them."""
        return {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(self.conninfo()).items()}

    def run_setup(self, script: str, label: str) -> None:
        """Run one script of the target; a TargetError names it if Postgres refuses it or it does not end.

        A search path that it sets holds for every session afterwards, as an application's does.
        """
        self._label = label
        with connect_guarded(self.conninfo(), SETUP_SECONDS_MAX) as connection:
            pid = connection.info.backend_pid
            try:
                connection.execute(script.encode())
            except psycopg.Error as error:
                reason = (error.diag.message_primary or str(error)).strip()
                where = _line(script, error.diag.statement_position)
                message = f"{label}: Postgres refuses the set-up{where}: {reason}; {self._wanted(error)}"
                raise TargetError(message) from error
            except StuckError as error:
                self._side.query("SELECT pg_catalog.pg_terminate_backend($1)", (pid,))
                message = (
                    f"{label}: the set-up was not done after {SETUP_SECONDS_MAX:g} s; expected a schema and few rows. "
                    "It makes too many rows, loops, or sleeps (time stands still meanwhile). Take that out"
                )
                raise TargetError(message) from error
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                message = (
                    f"{label}: the set-up leaves a transaction open, and what it did in it would be lost; expected a "
                    "COMMIT for every BEGIN. Add it"
                )
                raise TargetError(message)
            found = connection.execute(_SEARCH_PATH).fetchone()
        if found is not None:
            path = self._clock.after(found[0]) if isinstance(self._clock, FallbackClock) else found[0]
            self._side.execute(f'ALTER DATABASE "{self.name}" SET search_path = {path}')
        self._truncate = ""

    def _wanted(self, error: psycopg.Error) -> str:
        """The "expected" part of the error for a refused set-up; the embedded server has few extensions."""
        if error.sqlstate != _NO_SUCH_EXTENSION or not self._server.can_crash:
            return "expected SQL that runs in an empty database"
        names = ", ".join(row["name"] for row in self._side.query(_EXTENSIONS))
        return (
            f"expected an extension that this server has: the embedded one comes with {names} and no others. Use one "
            "of these, or name a server that has it with --pg URL"
        )

    def reopen(self) -> None:
        """Connect again, after the server was restarted."""
        self._side.reopen()

    def reset(self, *, clean: bool = False) -> None:
        """Restore the state after set-up; TargetError if an operation has changed the schema too much."""
        try:
            if not self._truncate:
                self._learn()
            clean = clean or self._fast_resets >= FAST_RESETS_MAX
            self._fast_resets = 0 if clean else self._fast_resets + 1
            self._side.execute((self._truncate if clean else self._delete) + self._restore)
        except psycopg.Error as error:
            reason = (error.diag.message_primary or str(error)).strip()
            message = (
                f"{self._label}: Postgres refuses to bring back what the set-up left: {reason}; expected operations "
                "and triggers that leave its tables and sequences in place. Take out what drops, renames or alters them"
            )
            raise TargetError(message) from error

    def _learn(self) -> None:
        """Keep the rows that set-up inserted, and write the statements that restore them."""
        self._side.execute("".join(f'DROP SCHEMA IF EXISTS "{name}" CASCADE;' for name in self._own) or "SELECT 1")
        schema = self._free_schema()
        clock = [self._clock.schema] if isinstance(self._clock, FallbackClock) else []
        tables = self._side.query(_TABLES, (clock,))
        columns = {row["name"]: row["columns"] for row in tables if not row["view"]}
        plain = list(columns)
        self._check_size(plain)
        self._side.execute(f'CREATE SCHEMA "{schema}"')
        self._own = [schema]
        kept = []
        for number, name in enumerate(plain):
            if columns[name] and self._side.query(f"SELECT 1 FROM ONLY {name} LIMIT 1"):
                # ONLY, because child tables are copied by themselves; Postgres computes generated columns itself.
                self._side.execute(f'CREATE TABLE "{schema}".kept_{number} AS SELECT {columns[name]} FROM ONLY {name}')
                kept.append((number, name))
        # As a replica, so that the target's triggers and foreign keys do not act on the rows that come back.
        replica = "SET session_replication_role = replica;" if self._server.superuser else ""
        back = [
            f'INSERT INTO {name} ({columns[name]}) OVERRIDING SYSTEM VALUE SELECT * FROM "{schema}".kept_{number};'
            for number, name in kept
        ]
        sequences = [self._sequence(row["name"], row["literal"]) for row in self._side.query(_SEQUENCES)]
        views = [f"REFRESH MATERIALIZED VIEW {row['name']};" for row in tables if row["view"]]
        self._truncate = replica + (f"TRUNCATE {', '.join(plain)} CASCADE;" if plain else "SELECT 1;")
        self._delete = replica + "".join(f"DELETE FROM ONLY {name};" for name in plain) or "SELECT 1;"
        if not self._server.superuser:  # row triggers and foreign keys would act on a DELETE
            self._delete = self._truncate
        self._restore = "".join((*back, *sequences, *views)) + (
            "RESET session_replication_role" if self._server.superuser else "SELECT 1"
        )

    def set_sequence(self, name: str, value: int) -> None:
        """Set a sequence: everybody sees its new value at once, also in older snapshots."""
        self._side.query("SELECT pg_catalog.setval($1::text::regclass, $2::bigint)", (name, value))

    def _free_schema(self) -> str:
        """A name for our schema that the target does not use."""
        taken = {row["nspname"] for row in self._side.query("SELECT nspname FROM pg_catalog.pg_namespace")}
        return next(name for number in count() if (name := f"pgqmodel_kept_{number}") not in taken)

    def _check_size(self, tables: list[str]) -> None:
        (size,) = self._side.query(_SIZE, (tables,))
        if size["bytes"] > SETUP_BYTES_MAX:
            message = (
                f"{self._label}: the set-up leaves {size['bytes'] / 2**20:,.0f} MB in its tables; expected at most "
                f"{SETUP_BYTES_MAX / 2**20:g} MB, because they are put back before every story. Insert fewer rows"
            )
            raise TargetError(message)

    def _sequence(self, name: str, literal: str) -> str:
        """The statement that sets a sequence to where it stands now."""
        (state,) = self._side.query(f"SELECT last_value, is_called FROM {name}")
        return f"SELECT pg_catalog.setval({literal}, {state['last_value']}, {state['is_called']});"

    def close(self) -> None:
        """Drop the database, even with open connections; closing twice is fine, and our own server may be down."""
        self._side.close()
        if not self._server.running:
            return
        with SideConnection(self._server.conninfo()) as side:
            side.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


def _line(script: str, position: str | None) -> str:
    """The line of an error in a script, for people."""
    return f" at line {script[: int(position)].count(chr(10)) + 1}" if position else ""
