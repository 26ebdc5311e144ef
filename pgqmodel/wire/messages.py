"""Postgres' protocol 3, as far as the gate needs it: framing in both directions, and the few messages that it reads.

Pure: bytes go in and messages come out, however the bytes were split on their way. If a peer breaks the protocol, a
WireError names the connection. Source: the PostgreSQL documentation, chapter "Frontend/Backend Protocol".
"""

from __future__ import annotations

import contextlib
import datetime as dt
import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import define

from pgqmodel.errors import WireError

__all__ = [
    "CANCEL_REQUEST",
    "CUT_SHORT",
    "ENCRYPTION_REQUESTS",
    "Framer",
    "Message",
    "Prepared",
    "bind_parameters",
    "cut_short",
    "described",
    "error_fields",
    "error_response",
    "first_column",
    "halve",
    "parse_sql",
    "query",
    "query_sql",
    "ready_for_query",
]

MESSAGE_BYTES_MAX = 256 * 1024 * 1024
STARTUP_BYTES_MAX = 10_000
ENCRYPTION_REQUESTS = frozenset({80877103, 80877104})
"""SSLRequest and GSSENCRequest: answered with N."""
CANCEL_REQUEST = 80877102
SYNC = b"S\x00\x00\x00\x04"
FLUSH = b"H\x00\x00\x00\x04"
TERMINATE = b"X\x00\x00\x00\x04"

CUT_SHORT = (struct.error, IndexError, ValueError)
"""The errors that reading a field raises if the message is too short."""
_CLIENT_TYPES = frozenset(b"BCDEFHPQSXcdfp")
_SERVER_TYPES = frozenset(b"123ACDEGHIKNRSTVWZcdnstv")


@define(eq=False)  # not frozen: a frozen one takes twice as long to make, and one is made for each message
class Message:
    """One message: its type (a byte; 0 for the untyped ones a client starts with) and all of its bytes."""

    type: int
    raw: bytes

    @property
    def body(self) -> bytes:
        """The bytes behind type and length."""
        return self.raw[5:] if self.type else self.raw[4:]

    @property
    def code(self) -> int:
        """The first number of an untyped message: a protocol version or a request."""
        return int.from_bytes(self.raw[4:8], "big")


class Framer:
    """Cuts one direction of one connection into messages."""

    def __init__(self, name: str, *, client: bool) -> None:
        self._name = name
        self._types = _CLIENT_TYPES if client else _SERVER_TYPES
        self._side = "client" if client else "server"
        self._rest = bytearray()
        self.untyped = client
        """Whether messages still have no type byte. The reader of the startup packet sets this to False."""

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete with `data`; WireError if the bytes cannot be a message.

        Nearly always `data` consists of whole messages, which are cut out without a copy. Only a rest is copied.
        """
        if self._rest:
            self._rest += data
        source = self._rest or data
        at = 0
        while size := self._size(source, at):
            end = at + size
            if end > len(source):
                break
            yield Message(0 if self.untyped else source[at], bytes(source[at:end]))
            at = end
        if source is self._rest:
            del self._rest[:at]
        else:
            self._rest += data[at:]

    def _size(self, source: bytes | bytearray, at: int) -> int:
        """The length of the message that begins at `at`; 0 if its length field is not complete yet."""
        if self.untyped:
            return self._untyped(source, at)
        if at == len(source):
            return 0
        kind = source[at]
        if kind not in self._types:
            self._break(f"a message of type {bytes([kind])!r}", "one of the protocol's types")
        if len(source) - at < 5:
            return 0
        length = int.from_bytes(source[at + 1 : at + 5], "big")
        if not 4 <= length <= MESSAGE_BYTES_MAX:
            self._break(f"a message of {length} bytes", f"4 to {MESSAGE_BYTES_MAX}")
        return length + 1

    def _untyped(self, source: bytes | bytearray, at: int) -> int:
        if len(source) - at < 4:
            return 0
        length = int.from_bytes(source[at : at + 4], "big")
        if not 8 <= length <= STARTUP_BYTES_MAX:
            self._break(f"a startup packet of {length} bytes", f"8 to {STARTUP_BYTES_MAX}")
        return length

    def _break(self, found: str, expected: str) -> None:
        message = (
            f"connection {self._name}: the {self._side} sent {found}; expected {expected}. "
            "It does not speak Postgres' protocol 3; check what connects there"
        )
        raise WireError(message)


def cut_short(name: str, side: str) -> WireError:
    """The error for a message that is too short for its fields."""
    return WireError(
        f"connection {name}: the {side} sent a message that is cut short; expected all of its fields. "
        "It does not speak Postgres' protocol 3; check what connects there"
    )


def query(sql: str) -> bytes:
    """A simple Query message."""
    return _typed(b"Q", sql.encode() + b"\0")


def halve(messages: Sequence[Message]) -> tuple[bytes, bytes] | None:
    """The messages of one statement up to its Bind, with a Flush, and the rest; None if they are another shape.

    A simple Query is written as the extended messages that mean the same.
    """
    raw = [message.raw for message in messages]
    types = bytes(message.type for message in messages)
    if types == b"Q":
        raw, types = list(_extended(query_sql(messages[0]))), b"PBDES"
    at = types.find(b"B") + 1
    if types not in {b"PBDES", b"PBES", b"BDES", b"BES"}:
        return None
    return b"".join(raw[:at]) + FLUSH, b"".join(raw[at:])


def _extended(sql: str) -> Iterator[bytes]:
    """Parse, Bind, Describe, Execute and Sync for a statement without parameters, with values as text."""
    yield _typed(b"P", b"\0" + sql.encode() + b"\0" + bytes(2))
    yield _typed(b"B", bytes(8))
    yield _typed(b"D", b"P\0")
    yield _typed(b"E", b"\0" + bytes(4))
    yield SYNC


def _typed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def ready_for_query(status: str) -> bytes:
    """A ReadyForQuery message."""
    return b"Z\x00\x00\x00\x05" + status.encode()


def error_response(sqlstate: str, text: str) -> bytes:
    """A fatal ErrorResponse message."""
    body = b"".join(code + value.encode() + b"\0" for code, value in _fields(sqlstate, text)) + b"\0"
    return _typed(b"E", body)


def _fields(sqlstate: str, text: str) -> tuple[tuple[bytes, str], ...]:
    return ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", sqlstate), (b"M", text))


def error_fields(message: Message) -> dict[str, str]:
    """The fields of an ErrorResponse or a NoticeResponse by their one-letter codes."""
    parts = message.body.split(b"\0")
    return {chr(part[0]): part[1:].decode(errors="replace") for part in parts if part}


def query_sql(message: Message) -> str:
    """The text of a Query message."""
    return message.body.rstrip(b"\0").decode(errors="replace")


def parse_sql(message: Message) -> tuple[str, str, tuple[int, ...]]:
    """The statement's name, its text and the type OIDs that a Parse message declares."""
    name, _, rest = message.body.partition(b"\0")
    text, _, types = rest.partition(b"\0")
    count = int.from_bytes(types[:2], "big")
    oids = struct.unpack_from(f"!{count}I", types, 2) if len(types) >= 2 + 4 * count else ()
    return name.decode(errors="replace"), text.decode(errors="replace"), oids


def first_column(message: Message) -> bytes | None:
    """The first value of a DataRow, None for NULL."""
    length = struct.unpack_from("!i", message.raw, 7)[0]
    return None if length < 0 else message.raw[11 : 11 + length]


def bind_parameters(message: Message, oids: Mapping[str, tuple[int, ...]]) -> tuple[str, tuple[Any, ...]]:
    """The statement's name and the parameters of a Bind; `oids` has the types that each statement declared.

    Text becomes text. Binary values of plain types become Python values, uuids and timestamps become text as Postgres
    writes them, and other binary values hexadecimal text.
    """
    _, name, rest = message.body.split(b"\0", 2)
    statement = name.decode(errors="replace")
    types = oids.get(statement, ())
    count = struct.unpack_from("!H", rest)[0]
    formats = struct.unpack_from(f"!{count}H", rest, 2)
    offset = 2 + 2 * count
    number = struct.unpack_from("!H", rest, offset)[0]
    offset += 2
    values: list[Any] = []
    for index in range(number):
        length = struct.unpack_from("!i", rest, offset)[0]
        offset += 4
        raw = None if length < 0 else rest[offset : offset + length]
        offset += max(length, 0)
        binary = formats[index] if len(formats) > 1 else formats[0] if formats else 0
        values.append(raw if raw is None else _value(raw, binary, types[index] if index < len(types) else 0))
    return statement, tuple(values)


_BINARY = {16: "!?", 20: "!q", 21: "!h", 23: "!i", 26: "!I", 700: "!f", 701: "!d"}
_UUID = 2950
_ZONES = {1114: "", 1184: "+00"}
"""Timestamps without and with time zone: microseconds since the base."""
_BASE = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - the zone is written beside it
_TEXT_OIDS = frozenset({0, 18, 19, 25, 114, 1042, 1043})


def _value(raw: bytes, binary: int, oid: int) -> Any:
    if not binary or (oid in _TEXT_OIDS and oid):
        return raw.decode(errors="replace")
    if oid in _BINARY and len(raw) == struct.calcsize(_BINARY[oid]):
        return struct.unpack(_BINARY[oid], raw)[0]
    if oid == _UUID and len(raw) == 16:
        return str(uuid.UUID(bytes=raw))
    if oid in _ZONES and len(raw) == 8:
        with contextlib.suppress(OverflowError):
            return f"{_BASE + dt.timedelta(microseconds=struct.unpack('!q', raw)[0])}{_ZONES[oid]}"
    return "\\x" + raw.hex()


def described(messages: Sequence[Message]) -> str | None:
    """The name of the statement that some messages ask the server to describe; None if they ask for none."""
    asked = [message.body[1:] for message in messages if message.type == ord("D") and message.body[:1] == b"S"]
    return asked[-1].partition(b"\0")[0].decode(errors="replace") if asked else None


class Prepared:
    """The statements that a connection has parsed, by name. Resolves the names in later messages to their SQL.

    A driver that leaves the types of parameters to the server asks for them before it sends values in binary; the
    server's answer tells us what those values are.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._oids: dict[str, tuple[int, ...]] = {}

    def learn(self, name: str, description: Message) -> None:
        """Take the types of a statement's parameters from a ParameterDescription."""
        count = struct.unpack_from("!H", description.body)[0]
        self._oids[name] = struct.unpack_from(f"!{count}I", description.body, 2)

    def read(self, messages: Sequence[Message]) -> tuple[str, tuple[Any, ...]]:
        """The statements of some messages, joined, and their parameters."""
        texts: dict[str, None] = {}
        parameters: tuple[Any, ...] = ()
        for message in messages:
            if message.type == ord("Q"):
                texts[query_sql(message)] = None
            elif message.type == ord("P"):
                name, text, oids = parse_sql(message)
                self._texts[name], self._oids[name] = text, oids
                texts[text] = None
            elif message.type == ord("B"):
                name, values = bind_parameters(message, self._oids)
                parameters += values
                texts[self._texts.get(name, "")] = None
        return "; ".join(text for text in texts if text), parameters
