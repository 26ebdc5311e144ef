"""Decodes the messages of `pgoutput`, protocol version 1: bytes to values, and nothing else.

Each message is decoded by itself; `transactions` puts them together. A column value is text, None, or `UNCHANGED`:
Postgres leaves out an unchanged value that is stored apart from its row (TOAST).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import Enum
from typing import Final, Literal, NoReturn

from attrs import frozen

from pgqmodel.errors import WireError

__all__ = [
    "UNCHANGED",
    "BeginMessage",
    "Column",
    "CommitMessage",
    "Delete",
    "Insert",
    "Message",
    "Note",
    "Origin",
    "Relation",
    "Row",
    "Truncate",
    "Type",
    "Unchanged",
    "Update",
    "decode",
]


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
Value = str | Literal[Unchanged.UNCHANGED] | None
Row = tuple[Value, ...]

_EPOCH_US = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970; Postgres counts from there."""
_SHORT, _LONG, _WIDE = (struct.Struct(f"!{kind}") for kind in "HIQ")
_BEGIN, _COMMIT = struct.Struct("!QqI"), struct.Struct("!BQQq")


@frozen(kw_only=True)
class Column:
    """A column of a table; `key` if it is part of what identifies a row."""

    name: str
    type: int
    key: bool


@frozen(kw_only=True)
class Relation:
    """A table, told before the first change of it. `identity` is its `relreplident`."""

    oid: int
    schema: str
    name: str
    identity: str
    columns: tuple[Column, ...]


@frozen(kw_only=True)
class BeginMessage:
    """The begin of a transaction: the place of its commit in the log, its time, its 32-bit number."""

    lsn: int
    at: float
    xid: int


@frozen(kw_only=True)
class CommitMessage:
    """The end of a transaction; `end` is the place behind its commit in the log."""

    lsn: int
    end: int
    at: float


@frozen(kw_only=True)
class Origin:
    """The transaction came from another server."""

    lsn: int
    name: str


@frozen(kw_only=True)
class Type:
    """A type that is not built in, told before the first table that has it."""

    oid: int
    schema: str
    name: str


@frozen(kw_only=True)
class Insert:
    """A new row."""

    relation: int
    new: Row


@frozen(kw_only=True)
class Update:
    """A changed row. `old` is given if its key changed, or if the whole row is the key."""

    relation: int
    old: Row | None
    new: Row


@frozen(kw_only=True)
class Delete:
    """A deleted row; only the key columns in `old` are sure to have values."""

    relation: int
    old: Row


@frozen(kw_only=True)
class Truncate:
    """Tables that were emptied."""

    relations: tuple[int, ...]
    cascade: bool
    restart: bool


@frozen(kw_only=True)
class Note:
    """A message that was written into the log with `pg_logical_emit_message`."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes


Message = BeginMessage | CommitMessage | Origin | Relation | Type | Insert | Update | Delete | Truncate | Note


def decode(data: bytes) -> Message:
    """Decode one message; WireError with the offset of the first wrong byte."""
    reader = _Reader(data)
    kind = reader.take(1)
    read = _KINDS.get(kind)
    if read is None:
        reader.fail(f"a message of the kind {kind!r}", f"one of {', '.join(map(repr, _KINDS))}", back=1)
    message = read(reader)
    if reader.offset != len(data):
        reader.fail(f"{len(data) - reader.offset} bytes too many", "the end of the message")
    return message


class _Reader:
    """Reads a message from left to right, and never beyond its end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def fail(self, found: str, expected: str, *, back: int = 0) -> NoReturn:
        """Raise WireError with the fault and its place."""
        message = (
            f"pgoutput: found {found} at offset {self.offset - back} of a message of {len(self.data)} bytes; expected "
            f"{expected}. Was it read with proto_version 1, and is the server a Postgres?"
        )
        raise WireError(message)

    def take(self, length: int) -> bytes:
        """The next bytes."""
        end = self.offset + length
        if end > len(self.data):
            self.fail(f"the end, {end - len(self.data)} bytes too early", f"{length} bytes")
        taken = self.data[self.offset : end]
        self.offset = end
        return taken

    def number(self, form: struct.Struct) -> int:
        """The next number, in network order."""
        return int(form.unpack(self.take(form.size))[0])

    def word(self) -> str:
        """Text up to a zero byte."""
        end = self.data.find(b"\0", self.offset)
        if end < 0:
            self.fail("text without an end", "a zero byte behind it")
        word = self.text(end - self.offset)
        self.offset = end + 1
        return word

    def text(self, length: int) -> str:
        """Text of a known length."""
        start, text = self.offset, self.take(length)
        try:
            return text.decode()
        except UnicodeDecodeError as error:
            self.offset = start + error.start
            self.fail("bytes that are not UTF-8", "text in the connection's encoding")

    def row(self) -> Row:
        """The values of a row, column by column. Most of the time of a long log is spent here."""
        count = self.number(_SHORT)
        data, offset, size = self.data, self.offset, len(self.data)
        values: list[Value] = []
        for _ in range(count):
            start = offset + 5
            end = start + int.from_bytes(data[offset + 1 : start])
            if data[offset : offset + 1] == b"n":
                values.append(None)
                offset += 1
            elif data[offset : offset + 1] == b"t" and start <= size and end <= size:
                self.offset = start
                values.append(self.text(end - start))
                offset = end
            else:
                self.offset = offset
                values.append(self.value())
                offset = self.offset
        self.offset = offset
        return tuple(values)

    def value(self) -> Value:
        """One value: text, None, or `UNCHANGED`."""
        kind = self.mark(b"t", b"n", b"u")
        if kind == b"t":
            return self.text(self.number(_LONG))
        return None if kind == b"n" else UNCHANGED

    def mark(self, *kinds: bytes) -> bytes:
        """The byte that says which row follows."""
        kind = self.take(1)
        if kind not in kinds:
            self.fail(f"{kind!r}", " or ".join(map(repr, kinds)), back=1)
        return kind


def _begin(reader: _Reader) -> BeginMessage:
    lsn, at, xid = _BEGIN.unpack(reader.take(_BEGIN.size))
    return BeginMessage(lsn=lsn, at=(at + _EPOCH_US) / 1e6, xid=xid)


def _commit(reader: _Reader) -> CommitMessage:
    _flags, lsn, end, at = _COMMIT.unpack(reader.take(_COMMIT.size))
    return CommitMessage(lsn=lsn, end=end, at=(at + _EPOCH_US) / 1e6)


def _origin(reader: _Reader) -> Origin:
    return Origin(lsn=reader.number(_WIDE), name=reader.word())


def _relation(reader: _Reader) -> Relation:
    return Relation(
        oid=reader.number(_LONG),
        schema=reader.word() or "pg_catalog",
        name=reader.word(),
        identity=reader.take(1).decode("latin-1"),
        columns=tuple(_column(reader) for _ in range(reader.number(_SHORT))),
    )


def _column(reader: _Reader) -> Column:
    key = reader.take(1) == b"\1"
    column = Column(key=key, name=reader.word(), type=reader.number(_LONG))
    reader.take(4)  # the type's modifier, such as a length
    return column


def _type(reader: _Reader) -> Type:
    return Type(oid=reader.number(_LONG), schema=reader.word() or "pg_catalog", name=reader.word())


def _insert(reader: _Reader) -> Insert:
    relation = reader.number(_LONG)
    reader.mark(b"N")
    return Insert(relation=relation, new=reader.row())


def _update(reader: _Reader) -> Update:
    relation, old = reader.number(_LONG), None
    if reader.mark(b"K", b"O", b"N") != b"N":
        old = reader.row()
        reader.mark(b"N")
    return Update(relation=relation, old=old, new=reader.row())


def _delete(reader: _Reader) -> Delete:
    relation = reader.number(_LONG)
    reader.mark(b"K", b"O")
    return Delete(relation=relation, old=reader.row())


def _truncate(reader: _Reader) -> Truncate:
    count, options = reader.number(_LONG), reader.take(1)[0]
    if 4 * count > len(reader.data):
        reader.fail(f"{count} tables", "as many as fit into the message", back=5)
    relations = struct.unpack(f"!{count}I", reader.take(4 * count))
    return Truncate(relations=relations, cascade=bool(options & 1), restart=bool(options & 2))


def _note(reader: _Reader) -> Note:
    return Note(
        transactional=reader.take(1) == b"\1",
        lsn=reader.number(_WIDE),
        prefix=reader.word(),
        content=reader.take(reader.number(_LONG)),
    )


_KINDS: dict[bytes, Callable[[_Reader], Message]] = {
    b"B": _begin,
    b"C": _commit,
    b"O": _origin,
    b"R": _relation,
    b"Y": _type,
    b"I": _insert,
    b"U": _update,
    b"D": _delete,
    b"T": _truncate,
    b"M": _note,
}
