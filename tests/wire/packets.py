"""Protocol messages as bytes, written from the documentation and not with the code that they test."""

from __future__ import annotations

import struct
from collections.abc import Sequence

__all__ = [
    "AUTHENTICATED",
    "BIND_COMPLETE",
    "FLUSH",
    "PARSE_COMPLETE",
    "SYNC",
    "bind",
    "complete",
    "error",
    "execute",
    "fields",
    "parse",
    "query",
    "ready",
    "request",
    "row",
    "startup",
    "typed",
]


def typed(kind: str, body: bytes = b"") -> bytes:
    """A message with a type."""
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def request(code: int, body: bytes = b"") -> bytes:
    """A message without a type: a startup packet, or a request in its place."""
    return struct.pack("!II", len(body) + 8, code) + body


def startup(user: str = "postgres", database: str = "postgres") -> bytes:
    """The packet that opens a session."""
    words = ("user", user, "database", database)
    return request(196608, b"".join(word.encode() + b"\0" for word in words) + b"\0")


def query(sql: str) -> bytes:
    """A simple query."""
    return typed("Q", sql.encode() + b"\0")


def parse(name: str, sql: str, oids: Sequence[int] = ()) -> bytes:
    """A Parse message."""
    types = struct.pack(f"!H{len(oids)}I", len(oids), *oids)
    return typed("P", name.encode() + b"\0" + sql.encode() + b"\0" + types)


def bind(name: str, values: Sequence[bytes | None] = (), formats: Sequence[int] = ()) -> bytes:
    """A Bind message for the unnamed portal."""
    body = b"\0" + name.encode() + b"\0" + struct.pack(f"!H{len(formats)}H", len(formats), *formats)
    body += struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return typed("B", body + struct.pack("!H", 0))


def execute() -> bytes:
    """An Execute message for the unnamed portal."""
    return typed("E", b"\0" + struct.pack("!I", 0))


SYNC = typed("S")
FLUSH = typed("H")
AUTHENTICATED = typed("R", struct.pack("!I", 0)) + typed("K", struct.pack("!II", 4711, 42)) + typed("Z", b"I")
PARSE_COMPLETE = typed("1")
BIND_COMPLETE = typed("2")


def ready(status: str) -> bytes:
    """The server is ready, in a transaction (T, E) or not (I)."""
    return typed("Z", status.encode())


def complete(tag: str) -> bytes:
    """A statement has come to its end."""
    return typed("C", tag.encode() + b"\0")


def row(value: bytes | None) -> bytes:
    """A row of one column."""
    return typed(
        "D", struct.pack("!H", 1) + (struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value)
    )


def error(sqlstate: str) -> bytes:
    """A statement has failed."""
    return typed("E", b"SERROR\0C" + sqlstate.encode() + b"\0Mno\0\0")


def fields(*names: str) -> bytes:
    """The description of rows."""
    columns = b"".join(name.encode() + b"\0" + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0) for name in names)
    return typed("T", struct.pack("!H", len(names)) + columns)
