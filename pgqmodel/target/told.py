"""Asks for the transaction of a statement in the same round trip, without a change of its behaviour.

The statement and a query for the transaction's identifier go to the server in one pipeline with one Sync. For the
server that is one implicit transaction, as for the statement alone, and the query assigns no identifier if there is
none. psycopg's own pipeline mode is not used, because it loses count if the commit itself fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncRawCursor, errors
from psycopg._queries import PostgresRawQuery
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

__all__ = ["TRANSACTION", "Asked", "ask"]

TRANSACTION = "SELECT pg_catalog.pg_current_xact_id_if_assigned()::text"

Asked = tuple[str, Sequence[Any]]
"""A statement with `$1`, and its parameters."""

_prepared: WeakKeyDictionary[Any, dict[tuple[bytes, tuple[int, ...]], bytes]] = WeakKeyDictionary()
_names = count(1)


async def ask(connection: psycopg.AsyncConnection[Any], *asked: Asked) -> list[AsyncRawCursor[Any]]:
    """Run statements in one pipeline, prepared on first use. Return a cursor for each; raise the first error."""
    cursors = [AsyncRawCursor(connection) for _ in asked]
    queries = [_adapt(cursor, *each) for cursor, each in zip(cursors, asked, strict=True)]
    known = _prepared.setdefault(connection, {})
    async with connection.lock:
        results = await connection.wait(_pipeline(connection.pgconn, queries, known))
    for cursor, result in zip(cursors, results, strict=True):
        cursor._set_results([result])
    return cursors


def _adapt(cursor: AsyncRawCursor[Any], sql: str, parameters: Sequence[Any]) -> PostgresRawQuery:
    cursor._tx = Transformer(cursor)
    query = PostgresRawQuery(cursor._tx)
    query.convert(sql, list(parameters))
    return query


def _pipeline(
    pgconn: PGconn, queries: Sequence[PostgresRawQuery], known: dict[tuple[bytes, tuple[int, ...]], bytes]
) -> PQGen[list[PGresult]]:
    """Send all queries, wait, and take the results up to the Sync; an error is raised after that."""
    pgconn.enter_pipeline_mode()
    new: list[tuple[bytes, tuple[int, ...]]] = []
    preparing = []
    for query in queries:
        key = (query.query, tuple(query.types))
        preparing.append(key not in known)
        if key not in known:
            known[key] = b"told_%d" % next(_names)
            new.append(key)
            pgconn.send_prepare(known[key], query.query, query.types)
        pgconn.send_query_prepared(known[key], query.params, query.formats)
    pgconn.pipeline_sync()
    yield from _flush(pgconn)
    results = yield from _fetch(pgconn)
    if pgconn.status == ConnStatus.OK:
        pgconn.exit_pipeline_mode()
    failed = next((result for result in results if result.status == ExecStatus.FATAL_ERROR), None)
    if failed is not None:
        for key in new:
            del known[key]
        raise errors.error_from_result(failed, encoding="utf-8")
    wanted = iter(results)
    return [(next(wanted), next(wanted))[1] if prepared else next(wanted) for prepared in preparing]


def _flush(pgconn: PGconn) -> PQGen[None]:
    """Send the buffer, and read the server's messages meanwhile, or both sides could wait for each other."""
    while pgconn.flush():
        ready = yield Wait.RW
        if ready & Ready.R:
            pgconn.consume_input()


def _fetch(pgconn: PGconn) -> PQGen[list[PGresult]]:
    """Every result up to the one that answers the Sync. Notifications go to the connection's handlers."""
    results: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            yield Wait.R
            try:
                pgconn.consume_input()
            except psycopg.OperationalError:
                if any(result.status == ExecStatus.FATAL_ERROR for result in results):
                    return results  # the server's last message says more than the end of the socket
                raise
        _notify(pgconn)
        result = pgconn.get_result()
        if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
            return results
        if result is not None:
            results.append(result)


def _notify(pgconn: PGconn) -> None:
    while (notification := pgconn.notifies()) is not None:
        if pgconn.notify_handler is not None:
            pgconn.notify_handler(notification)
