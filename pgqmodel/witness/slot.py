"""Reads the write-ahead log through a logical slot and a publication, made before the load and dropped after it.

A batch is confirmed only after it is written to a file: peek, spool, then advance the slot. The server saves the slot
lazily, so after a crash the slot may stand further back than we confirmed. A transaction that comes twice is known by
the place of its commit and dropped. So no transaction is lost or doubled, whichever process is killed.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import psycopg
import trio
from attrs import frozen
from psycopg import sql

from pgqmodel.errors import ServerGoneError, UsageError
from pgqmodel.witness.pgoutput import CommitMessage, Note, decode
from pgqmodel.witness.transactions import Assembler, Transaction

__all__ = ["BATCH_MESSAGES", "Witness"]

BATCH_MESSAGES = 50_000
"""The number of messages in a batch; a transaction is always read whole, however long it is."""
FOLLOW_SECONDS = 0.2
SERVER_SECONDS_MAX = 60.0
STATEMENT_SECONDS_MAX = 20
PUBLICATION = "pgqmodel_witness"
PREFIX = "pgqmodel"
"""The prefix of our own notes in the log."""

_TABLES = """
SELECT n.nspname AS schema, c.relname AS name, c.relpersistence = 'p' AS logged,
  (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a
   JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
   WHERE CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END) AS key
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY c.oid
"""
_REFRESH = "SELECT pg_catalog.pg_log_standby_snapshot(), pg_catalog.pg_current_xact_id()"
"""Without a record of the running transactions every read would start from the slot's first record again. The number
makes it a transaction whose commit flushes the log: reading waits for the rest of a record that was flushed in part."""
_PEEK = """
SELECT data FROM pg_catalog.pg_logical_slot_peek_binary_changes(
    %s, NULL, %s, 'proto_version', '1', 'publication_names', %s, 'messages', 'true')
"""
_DROP = """
SELECT pg_catalog.pg_terminate_backend(active_pid, 10000) FROM pg_catalog.pg_replication_slots
WHERE slot_name = %(slot)s AND active_pid IS NOT NULL;
SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = %(slot)s
"""
_BUSY = ("55006", "57014", "57P01", "57P03")
"""Errors after which reading is tried again: the slot is still held by a backend that ends soon; a read took too
long; the server stops or starts."""


@frozen(kw_only=True)
class _Table:
    schema: str
    name: str
    logged: bool
    key: tuple[str, ...]

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


class Witness:
    """Reads every transaction that commits between entering and `drain`; a context manager.

    `tables` are published with whole rows (`Translator.tables`), all other tables with their keys only: so every
    transaction is seen, and a flood of log lines costs little. The messages are kept in the file `spool`.
    """

    def __init__(
        self, conninfo: str, tables: Collection[str], spool: Path, *, batch_messages: int = BATCH_MESSAGES
    ) -> None:
        self._conninfo = conninfo
        self._tables = frozenset(tables)
        self._batch_messages = batch_messages
        self._spool = spool
        self._file = spool.open("wb")
        self._connection: psycopg.Connection[Any] | None = None
        self._slot = ""
        self._last_lsn = 0
        self._marks: set[bytes] = set()

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- setting up and taking down --------------------------------------------------------------------------------

    def _open(self) -> None:
        """Make publication and slot. The slot comes last, because the publication must exist before it."""
        connection = self._connect()
        found = [_Table(**{**row, "key": tuple(row["key"] or ())}) for row in _rows(connection, _TABLES)]
        self._check(found)
        tables = [table for table in found if table.logged]
        for table in tables:
            if not table.key:
                # Nothing to restore later: the database is ours, and every run sets up a new one.
                connection.execute(sql.SQL("ALTER TABLE {} REPLICA IDENTITY FULL").format(table.identifier))
        connection.execute(
            sql.SQL("CREATE PUBLICATION {} FOR TABLE {} WITH (publish_via_partition_root = true)").format(
                sql.Identifier(PUBLICATION), sql.SQL(", ").join(map(self._published, tables))
            )
        )
        (row,) = _rows(connection, "SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()")
        self._slot = f"pgqmodel_{row['oid']}"
        connection.execute("SELECT pg_catalog.pg_create_logical_replication_slot(%s, 'pgoutput')", [self._slot])

    def _check(self, found: list[_Table]) -> None:
        """Refuse tables whose changes are not in the log."""
        logged = {table.full_name for table in found if table.logged}
        for name in sorted(self._tables - logged):
            message = (
                f"the table {name} is observed but not in the write-ahead log; expected an ordinary logged table. "
                "ALTER TABLE ... SET LOGGED, or observe another"
            )
            raise UsageError(message)

    def _published(self, table: _Table) -> sql.Composed:
        """A table in the publication: with all columns if its rows are wanted, else with its key only."""
        if table.full_name in self._tables or not table.key:
            return sql.SQL("{}").format(table.identifier)
        columns = sql.SQL(", ").join(map(sql.Identifier, table.key))
        return sql.SQL("{} ({})").format(table.identifier, columns)

    def close(self) -> None:
        """Drop slot and publication, if the server runs; closing twice is fine."""
        if not self._file.closed:
            self._file.close()
            with contextlib.suppress(psycopg.OperationalError):
                self._disconnect()
                connection = self._connect()
                if self._slot:
                    for statement in _DROP.split(";"):
                        connection.execute(statement, {"slot": self._slot})
                connection.execute(f"DROP PUBLICATION IF EXISTS {PUBLICATION}")
        self._disconnect()

    def _connect(self) -> psycopg.Connection[Any]:
        """The connection; a new one if the last one was lost."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._conninfo,
                autocommit=True,
                application_name="pgqmodel-witness",
                client_encoding="utf8",
                options=f"-c statement_timeout={STATEMENT_SECONDS_MAX}s",
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self) -> int:
        """Read one batch; return the number of its messages. It is also 0 while the server is down: try again then."""
        try:
            return self._read()
        except psycopg.OperationalError as error:
            if error.sqlstate is not None and error.sqlstate not in _BUSY and not self._lost:
                raise
            self._disconnect()
            return 0

    @property
    def _lost(self) -> bool:
        return self._connection is None or self._connection.closed or self._connection.broken

    def _read(self) -> int:
        connection = self._connect()
        connection.execute(_REFRESH)
        with connection.cursor(binary=True) as cursor:
            cursor.execute(_PEEK, [self._slot, self._batch_messages, PUBLICATION])
            end = self._take(cursor)
            count = cursor.rowcount
        if end:
            self._file.flush()
            connection.execute(
                "SELECT pg_catalog.pg_replication_slot_advance(%s, %s::pg_lsn)", [self._slot, _lsn_text(end)]
            )
        return count

    def _take(self, messages: Iterable[tuple[bytes]]) -> int:
        """Spool the new transactions of a batch. Return the place behind the last one, or 0 if there is none.

        They are spooled undecoded, because decoding would take CPU from the load.
        """
        end, parts = 0, list[bytes]()
        for (data,) in messages:
            kind = data[:1]
            if kind == b"B":
                parts = [data]
            elif kind == b"C":
                commit = decode(data)
                assert isinstance(commit, CommitMessage)
                end = commit.end
                if commit.lsn > self._last_lsn:
                    self._last_lsn = commit.lsn
                    self._keep([*parts, data])
            elif kind != b"M":
                parts.append(data)
            elif self._is_mark(data):
                parts = []
        return end

    def _is_mark(self, data: bytes) -> bool:
        """Whether a message in the log is a mark of ours; if so, remember that it was seen."""
        note = decode(data)
        assert isinstance(note, Note)
        if note.prefix == PREFIX:
            self._marks.add(note.content)
        return note.prefix == PREFIX

    def _keep(self, messages: Sequence[bytes]) -> None:
        """Write a transaction to the spool, unless it is only the rest of a mark's transaction."""
        if len(messages) > 1:
            self._file.write(b"".join(len(data).to_bytes(4) + data for data in messages))

    def drain(self, *, seconds_max: float = SERVER_SECONDS_MAX) -> None:
        """Read until every transaction that committed before this call is read; ServerGoneError if that takes too long.

        Do not call it while `follow` runs.
        """
        deadline = time.monotonic() + seconds_max
        mark = secrets.token_bytes(16)
        while not self._write_mark(mark) or not self._reach(mark):
            if time.monotonic() > deadline:
                message = (
                    f"the write-ahead log could not be read to its end within {seconds_max:g} s; expected a server "
                    "that answers. Its log says why it does not"
                )
                raise ServerGoneError(message)
            time.sleep(0.05)

    def _write_mark(self, mark: bytes) -> bool:
        """Commit a mark. Every earlier commit stands before it in the log."""
        try:
            self._connect().execute("SELECT pg_catalog.pg_logical_emit_message(true, %s, %s::bytea)", [PREFIX, mark])
        except psycopg.OperationalError:
            self._disconnect()
            return False
        return True

    def _reach(self, mark: bytes) -> bool:
        """Read up to a mark; False if the server went away meanwhile."""
        while mark not in self._marks:
            if not self.read():
                return mark in self._marks
        self._marks.discard(mark)
        return True

    async def follow(self, *, every_seconds: float = FOLLOW_SECONDS) -> None:
        """Read during the load, until cancelled; the server may go away and come back."""
        while True:
            if await trio.to_thread.run_sync(self.read) < self._batch_messages:
                await trio.sleep(every_seconds)

    def transactions(self) -> Iterator[Transaction]:
        """The transactions read so far, in commit order."""
        if not self._file.closed:
            self._file.flush()
        assembler = Assembler(self._tables)
        with self._spool.open("rb") as file:
            while length := file.read(4):
                transaction = assembler.feed(file.read(int.from_bytes(length)))
                if transaction is not None:
                    yield transaction


def _rows(connection: psycopg.Connection[Any], query: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


def _lsn_text(lsn: int) -> str:
    """A place in the log as Postgres writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
