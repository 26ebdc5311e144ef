"""Committed transactions as values, put together from the messages of `pgoutput`.

Pure. If Postgres left a value out because it had not changed (TOAST), the last image of its row supplies it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from attrs import frozen

from pgqmodel.errors import WireError
from pgqmodel.witness.pgoutput import (
    UNCHANGED,
    BeginMessage,
    CommitMessage,
    Delete,
    Insert,
    Message,
    Relation,
    Row,
    Truncate,
    Update,
    decode,
)

__all__ = ["Assembler", "Key", "RowChange", "Transaction"]

_ROW_LENGTH_MIN = 400
_VALUE_LENGTH_MIN = 8
"""In characters of text; shorter values are not remembered. Postgres moves a value out of its row only if the row is
longer than 2000 bytes, and never a value that is shorter than the pointer to it. This limit is well below that."""

Key = tuple[str | None, ...]


@frozen(kw_only=True)
class RowChange:
    """The change of one row: its key before (`old`), its key after (`key`), and its values after (`row`).

    An insert has no `old`, a delete no `key` and no `row`; without all three the table was emptied. A column that is
    missing in `row` was not published.
    """

    table: str
    old: Key | None = None
    key: Key | None = None
    row: Mapping[str, str | None] | None = None


@frozen(kw_only=True)
class Transaction:
    """One committed transaction: its 32-bit number, the place of its commit, and the server's time of the commit."""

    xid: int
    lsn: int
    end: int
    at: float
    changes: tuple[RowChange, ...] = ()


class Assembler:
    """Takes messages in and gives transactions out. Changes of tables other than `tables` are ignored."""

    def __init__(self, tables: Collection[str]) -> None:
        self._tables = frozenset(tables)
        self._relations: dict[int, Relation] = {}
        self._ignored: set[bytes] = set()
        self._kept: dict[tuple[int, Key], dict[int, str]] = {}
        self._begin: BeginMessage | None = None
        self._changes: list[RowChange] = []

    def feed(self, data: bytes) -> Transaction | None:
        """Take in one message; return the transaction that it completes. WireError if it does not fit the others."""
        if data[:1] in _CHANGES and data[1:5] in self._ignored:
            return None
        message = decode(data)
        if isinstance(message, BeginMessage):
            self._begin, self._changes = message, []
        elif isinstance(message, CommitMessage):
            return self._complete(message)
        elif isinstance(message, Relation):
            self._learn(message)
        else:
            self._add(message)
        return None

    def _complete(self, commit: CommitMessage) -> Transaction:
        begin, self._begin = self._begin, None
        if begin is None or begin.lsn != commit.lsn:
            message = f"pgoutput: found the end of transaction {commit.lsn:X}; expected its begin before it. Report it"
            raise WireError(message)
        return Transaction(
            xid=begin.xid,
            lsn=commit.lsn,
            end=commit.end,
            at=begin.at,
            changes=tuple(self._changes),
        )

    def _learn(self, relation: Relation) -> None:
        self._relations[relation.oid] = relation
        if _name(relation) not in self._tables:
            self._ignored.add(relation.oid.to_bytes(4))

    def _add(self, message: Message) -> None:
        """Keep a change of a row, or of a whole table."""
        if isinstance(message, Truncate):
            tables = [_name(self._relation(oid)) for oid in message.relations]
            self._changes += [RowChange(table=table) for table in tables if table in self._tables]
            self._kept = {key: kept for key, kept in self._kept.items() if key[0] not in message.relations}
        elif isinstance(message, Insert):
            self._changes.append(self._changed(message.relation, None, message.new))
        elif isinstance(message, Update):
            self._changes.append(self._changed(message.relation, message.old or message.new, message.new))
        elif isinstance(message, Delete):
            relation = self._relation(message.relation)
            old = _key(relation, message.old)
            self._kept.pop((relation.oid, old), None)
            self._changes.append(RowChange(table=_name(relation), old=old))

    def _changed(self, oid: int, before: Row | None, new: Row) -> RowChange:
        """A row's change, with the values that Postgres left out."""
        relation = self._relation(oid)
        old = None if before is None else _key(relation, before)
        kept = self._kept.pop((oid, old), {}) if old is not None else {}
        if UNCHANGED in new:
            whole = before if before is not None and len(before) == len(new) else new
            beside = [_known(value, whole[place], kept.get(place)) for place, value in enumerate(new)]
            new = tuple(beside)
        key = _key(relation, new)
        row = {
            column.name: value for column, value in zip(relation.columns, new, strict=True) if value is not UNCHANGED
        }
        if sum(len(value) for value in row.values() if value is not None) > _ROW_LENGTH_MIN:
            self._kept[oid, key] = {
                place: value
                for place, value in enumerate(new)
                if isinstance(value, str) and len(value) >= _VALUE_LENGTH_MIN
            }
        return RowChange(table=_name(relation), old=old, key=key, row=row)

    def _relation(self, oid: int) -> Relation:
        try:
            return self._relations[oid]
        except KeyError:
            message = f"pgoutput: found a change of table {oid}; expected its description before it. Report it"
            raise WireError(message) from None


_CHANGES = frozenset({b"I", b"U", b"D"})


def _known(value: object, before: object, kept: str | None) -> str | None:
    """The value of a column: the new one, else the one before; `UNCHANGED` if neither is known."""
    if value is not UNCHANGED:
        return value  # type: ignore[return-value]
    return before if before is not UNCHANGED and before is not None else kept or value  # type: ignore[return-value]


def _name(relation: Relation) -> str:
    return f"{relation.schema}.{relation.name}"


def _key(relation: Relation, row: Row) -> Key:
    """The key of a row: the values of its key columns."""
    if len(row) != len(relation.columns):
        message = (
            f"pgoutput: found a row of {len(row)} columns of {_name(relation)}; expected {len(relation.columns)}. "
            "Report it"
        )
        raise WireError(message)
    return tuple(
        None if value is UNCHANGED else value for column, value in zip(relation.columns, row, strict=True) if column.key
    )
