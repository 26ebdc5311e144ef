"""What the decoder promises: the protocol's messages as values, and an error with a place for everything else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pgqmodel.errors import WireError
from pgqmodel.witness.pgoutput import (
    UNCHANGED,
    BeginMessage,
    Column,
    CommitMessage,
    Delete,
    Insert,
    Message,
    Note,
    Origin,
    Relation,
    Truncate,
    Type,
    Update,
    decode,
)

ROW = b"\0\3t\0\0\0\2\xc3\xa4nu"
VALUES = ("ä", None, UNCHANGED)
SAMPLES: list[tuple[bytes, Message]] = [
    (b"B" + struct.pack("!QqI", 2**33, 1_500_000, 7), BeginMessage(lsn=2**33, at=946_684_801.5, xid=7)),
    (b"C\0" + struct.pack("!QQq", 5, 6, -1_000_000), CommitMessage(lsn=5, end=6, at=946_684_799.0)),
    (b"O" + struct.pack("!Q", 9) + b"there\0", Origin(lsn=9, name="there")),
    (
        b"R\0\0\0\1public\0jobs\0d\0\2\1id\0\0\0\0\x14\xff\xff\xff\xff\0line\0\0\0\0\x19\xff\xff\xff\xff",
        Relation(
            oid=1,
            schema="public",
            name="jobs",
            identity="d",
            columns=(Column(name="id", type=20, key=True), Column(name="line", type=25, key=False)),
        ),
    ),
    (b"Y\0\0\0\2\0mood\0", Type(oid=2, schema="pg_catalog", name="mood")),
    (b"I\0\0\0\1N" + ROW, Insert(relation=1, new=VALUES)),
    (b"U\0\0\0\1N" + ROW, Update(relation=1, old=None, new=VALUES)),
    (b"U\0\0\0\1K\0\1nN" + ROW, Update(relation=1, old=(None,), new=VALUES)),
    (b"U\0\0\0\1O\0\1nN" + ROW, Update(relation=1, old=(None,), new=VALUES)),
    (b"D\0\0\0\1K" + ROW, Delete(relation=1, old=VALUES)),
    (b"T\0\0\0\2\3\0\0\0\1\0\0\0\2", Truncate(relations=(1, 2), cascade=True, restart=True)),
    (
        b"M\1" + struct.pack("!Q", 3) + b"p\0\0\0\0\2\xff\0",
        Note(transactional=True, lsn=3, prefix="p", content=b"\xff\0"),
    ),
]
BYTES = [data for data, _ in SAMPLES]


@pytest.mark.parametrize(("data", "message"), SAMPLES, ids=lambda value: type(value).__name__)
def test_a_message_is_decoded(data: bytes, message: Message) -> None:
    """Each kind of message of protocol version 1 becomes its value."""
    assert decode(data) == message


@pytest.mark.parametrize("data", BYTES)
def test_a_message_that_is_cut_anywhere_is_refused(data: bytes) -> None:
    """No part of a message is taken for a whole one, nor one with something behind it."""
    for end in range(len(data)):
        with pytest.raises(WireError, match="at offset"):
            decode(data[:end])
    with pytest.raises(WireError, match="1 bytes too many"):
        decode(data + b"\0")


@given(st.binary())
@example(b"")
@example(b"T\xff\xff\xff\xff\0")
@example(b"I\0\0\0\1N\0\1t\0\0\0\1\xff")
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    """Junk ends in a WireError that says where, never in another exception or in waiting."""
    try:
        decode(data)
    except WireError as error:
        assert "at offset" in str(error)


@given(st.sampled_from(BYTES), st.integers(0, 60), st.integers(0, 255))
def test_a_flipped_byte_is_a_message_or_an_error(data: bytes, place: int, byte: int) -> None:
    """The same for messages that are nearly right."""
    changed = bytearray(data)
    changed[place % len(data)] = byte
    try:
        decode(bytes(changed))
    except WireError as error:
        assert "at offset" in str(error)


def test_the_error_names_the_place() -> None:
    """Found, expected, and where."""
    with pytest.raises(
        WireError, match=r"found b'x' at offset 8 of a message of 9 bytes; expected b't' or b'n' or b'u'"
    ):
        decode(b"I\0\0\0\1N\0\1x")
