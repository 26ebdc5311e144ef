"""Translates images of rows into jobs, runs and environments: Postgres runs the target's observe queries over them.

A common table expression with the images shadows the table that a query reads, so Postgres computes the same values as
it would from the table. That is right only for queries that read one table, row by row. Postgres' plan tells what a
query reads, and any other query is refused.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

import psycopg
from attrs import define, field

from pgqmodel.errors import NoVerdictError, UsageError
from pgqmodel.server import SideConnection
from pgqmodel.target import Target, read_jobs, read_state
from pgqmodel.witness.merge import Commit
from pgqmodel.witness.transactions import Key, RowChange, Transaction

__all__ = ["BATCH_TRANSACTIONS", "Translator"]

BATCH_TRANSACTIONS = 1000
_QUERIES = ("jobs", "runs", "environments")
_NUMBER = "pgqmodel_image"
_IMAGES = """
SELECT i.n AS {number}, o.* FROM unnest($1::text[]) WITH ORDINALITY AS i(image, n) CROSS JOIN LATERAL (
WITH {name} AS (SELECT (r.r).* FROM (SELECT i.image::{table} AS r OFFSET 0) AS r)
SELECT * FROM (
{query}
) AS q) AS o
"""
_COLUMNS = """
SELECT a.attname AS name,
  CASE c.relreplident
    WHEN 'd' THEN coalesce(a.attnum = ANY (p.indkey), p.indkey IS NULL)
    WHEN 'i' THEN a.attnum = ANY (r.indkey)
    ELSE true
  END AS key
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
LEFT JOIN pg_catalog.pg_index AS p ON p.indrelid = c.oid AND p.indisprimary
LEFT JOIN pg_catalog.pg_index AS r ON r.indrelid = c.oid AND r.indisreplident
WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_BY_ROW = frozenset({"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Bitmap Index Scan"})
_HARMLESS = _BY_ROW | {
    "BitmapAnd",
    "BitmapOr",
    "Sort",
    "Incremental Sort",
    "Result",
    "Subquery Scan",
    "Gather",
    "Gather Merge",
}
"""Plan nodes that make each row of the result from one row, independently of the others."""


@define
class _Source:
    """One observe query, and its last result for each row."""

    query: str
    sql: str
    table: str
    identifier: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    shadowed: str
    known: dict[Key, tuple[str, Any]] = field(factory=dict)


class Translator:
    """Turns transactions of row images into commits of jobs, runs and environments; made before the load begins.

    UsageError if `observe.jobs` or `observe.environments` does not read one table row by row. Such a query for `runs`
    is left out.
    """

    def __init__(self, target: Target, conninfo: str) -> None:
        self._target = target
        self._conninfo = conninfo
        with SideConnection(conninfo) as side:
            self._sources = [source for query in _QUERIES if (source := self._source(query, side)) is not None]
            self._existing = self._read_existing(side)

    @property
    def tables(self) -> frozenset[str]:
        """The tables whose whole rows the witness must read."""
        return frozenset(source.table for source in self._sources)

    def translate(self, transactions: Iterable[Transaction]) -> Iterator[Commit]:
        """Yield the commits with their changes; the first one holds the state before the record."""
        for source in self._sources:
            source.known.clear()
        with SideConnection(self._conninfo) as side:
            yield from self._translate([self._existing], side)
            for batch in _batches(transactions):
                yield from self._translate(batch, side)

    # -- what a target's queries read ------------------------------------------------------------------------------

    def _source(self, query: str, side: SideConnection) -> _Source | None:
        """The source of an observe query; None if there is no such query or if it is left out."""
        sql = getattr(self._target.observe, query)
        if sql is None:
            return None
        sql = sql.strip().rstrip(";")
        try:
            return self._shadow(query, sql, side)
        except UsageError:
            if query == "runs":
                return None
            raise

    def _shadow(self, query: str, sql: str, side: SideConnection) -> _Source:
        nodes = list(_nodes(self._explain(query, sql, side)))
        tables = [node for node in nodes if "Relation Name" in node]
        strange = sorted({node["Node Type"] for node in nodes} - _HARMLESS)
        if len(tables) != 1 or strange:
            names = ", ".join(node["Relation Name"] for node in tables) or "no table"
            self._refuse(query, f"a query over {names}" + (f" with {', '.join(strange)}" if strange else ""))
        (row,) = side.query(
            "SELECT quote_ident($1::text) AS name, format('%I.%I', $2::text, $1::text) AS identifier",
            [tables[0]["Relation Name"], tables[0]["Schema"]],
        )
        columns = side.query(_COLUMNS, [row["identifier"]])
        shadowed = _IMAGES.format(number=_NUMBER, name=row["name"], table=row["identifier"], query=sql)
        plan = self._explain(query, re.sub(r"\$1", "NULL", shadowed, count=1), side)
        if any("Relation Name" in node for node in _nodes(plan)):
            self._refuse(query, f"a query that reaches {row['name']} by more than its bare name")
        return _Source(
            query=query,
            sql=sql,
            table=f"{tables[0]['Schema']}.{tables[0]['Relation Name']}",
            identifier=row["identifier"],
            columns=tuple(column["name"] for column in columns),
            keys=tuple(column["name"] for column in columns if column["key"]),
            shadowed=shadowed,
        )

    def _explain(self, query: str, sql: str, side: SideConnection) -> Mapping[str, Any]:
        try:
            (row,) = side.query(f"EXPLAIN (VERBOSE, FORMAT JSON) {sql}")
        except psycopg.Error as error:
            self._refuse(query, f"a query that Postgres cannot run over one row ({error.diag.message_primary})")
        plan: Mapping[str, Any] = row["QUERY PLAN"][0]["Plan"]
        return plan

    def _refuse(self, query: str, found: str) -> NoReturn:
        message = (
            f"{self._target.source}: observe.{query}: found {found}; expected one that reads one table by its bare "
            "name, row by row, because the write-ahead log tells single rows. Write it so, without joins and aggregates"
        )
        raise UsageError(message)

    # -- rows ------------------------------------------------------------------------------------------------------

    def _read_existing(self, side: SideConnection) -> Transaction:
        """The present rows, as a transaction of inserts."""
        (now,) = side.query("SELECT extract(epoch FROM clock_timestamp())::float8 AS now")
        changes = []
        for table, source in {source.table: source for source in self._sources}.items():
            columns = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"::text' for name in source.columns)
            changes += [
                RowChange(table=table, key=tuple(row[name] for name in source.keys), row=row)
                for row in side.query(f"SELECT {columns} FROM {source.identifier}")
            ]
        return Transaction(xid=-1, lsn=0, end=0, at=now["now"], changes=tuple(changes))

    def _translate(self, batch: list[Transaction], side: SideConnection) -> Iterator[Commit]:
        seen = {source.query: self._observe(source, batch, side) for source in self._sources}
        for transaction in batch:
            found: dict[str, dict[str, Any]] = {query: {} for query in _QUERIES}
            for source in self._sources:
                for change in transaction.changes:
                    if change.table == source.table:
                        shown = next(seen[source.query]) if change.row is not None else None
                        _apply(source, change, shown, found[source.query])
            yield Commit(xid=None if transaction.xid < 0 else transaction.xid, at=transaction.at, **found)

    def _observe(
        self, source: _Source, batch: list[Transaction], side: SideConnection
    ) -> Iterator[tuple[str, Any] | None]:
        """The result of an observe query for each image in a batch: a name and a value, or None."""
        rows = [
            change.row
            for transaction in batch
            for change in transaction.changes
            if change.table == source.table and change.row is not None
        ]
        found = side.query(source.shadowed, [[self._literal(source, row) for row in rows]]) if rows else []
        shown = {row[_NUMBER]: row for row in found}
        return iter([self._read(source.query, shown.get(number)) for number in range(1, len(rows) + 1)])

    def _literal(self, source: _Source, row: Mapping[str, str | None]) -> str:
        """A row as a literal that Postgres can read."""
        missing = [name for name in source.columns if name not in row]
        if any(re.search(rf"(?i)\b{re.escape(name)}\b|\*", source.sql) for name in missing):
            message = (
                f"the log does not tell {' and '.join(missing)} of a row in {source.table}; observe.{source.query} "
                "reads it; expected it in this change or an earlier one. Generated columns are never told, large "
                "values only when they are written: leave them out of the query"
            )
            raise NoVerdictError(message)
        return "(" + ",".join(_quoted(row.get(name)) for name in source.columns) + ")"

    def _read(self, query: str, row: Mapping[str, Any] | None) -> tuple[str, Any] | None:
        if row is None:
            return None
        if query == "jobs":
            (job,) = read_jobs([row], self._target)
            return job.job, job
        if query == "runs":
            return str(row["run"]), read_state(row["state"], self._target, "runs")
        return str(row["environment"]), _plain(row["version"])


def _apply(source: _Source, change: RowChange, shown: tuple[str, Any] | None, found: dict[str, Any]) -> None:
    """Add to `found` the changes that a change of one row makes in an observe query's result."""
    if change.old is None and change.key is None:
        found.update(dict.fromkeys((name for name, _ in source.known.values()), None))
        source.known.clear()
        return
    before = source.known.pop(change.old, None) if change.old is not None else None
    if before is not None and (shown is None or shown[0] != before[0]):
        found[before[0]] = None
    if shown is not None:
        assert change.key is not None
        source.known[change.key] = shown
        if shown != before or shown[0] in found:
            found[shown[0]] = shown[1]


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A plan's nodes, from the top."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _batches(transactions: Iterable[Transaction]) -> Iterator[list[Transaction]]:
    iterator = iter(transactions)
    while batch := list(itertools.islice(iterator, BATCH_TRANSACTIONS)):
        yield batch


def _quoted(value: str | None) -> str:
    """A value, quoted for the text of a row."""
    return "" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '""') + '"'


def _plain(value: Any) -> Any:
    """A value in a form that JSON has."""
    try:
        json.dumps(value)
    except TypeError:
        return str(value)
    return value
