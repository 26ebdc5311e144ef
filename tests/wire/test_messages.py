"""Framing, from bytes: the same messages whatever the split, and a clear error for whatever is no message."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqmodel.errors import WireError
from pgqmodel.wire.messages import Framer, Message, bind_parameters, error_fields, parse_sql
from wire import packets

CLIENT_TYPES = "BCDEFHPQSXcdfp"
MESSAGES = st.lists(st.builds(packets.typed, st.sampled_from(CLIENT_TYPES), st.binary(max_size=20)), max_size=8)


def framed(data: bytes, cuts: list[int]) -> list[Message]:
    """The messages of a client's stream that arrives in pieces."""
    framer = Framer("A", client=True)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    found = []
    for start, end in zip(edges, edges[1:], strict=False):
        for message in framer.feed(data[start:end]):
            framer.untyped = False
            found.append(message)
    return found


@given(MESSAGES, st.lists(st.integers(0, 1000), max_size=20))
def test_any_split_gives_the_same_messages(messages: list[bytes], cuts: list[int]) -> None:
    """However the network cuts a stream, every message comes out once, whole and in order."""
    sent = [packets.startup(), *messages]
    assert [message.raw for message in framed(b"".join(sent), cuts)] == sent


@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_junk_is_an_error_that_names_the_connection(junk: bytes, client: bool, untyped: bool) -> None:
    """Whatever bytes arrive: messages, silence until more comes, or a WireError with the connection's name."""
    framer = Framer("worker-7", client=client)
    framer.untyped = untyped and client
    try:
        assert b"".join(message.raw for message in framer.feed(junk)) in junk
    except WireError as error:
        assert "worker-7" in str(error)


@pytest.mark.parametrize("length", [0, 7, 10_001, 2**31])
def test_startup_packets_are_bounded(length: int) -> None:
    """A client that opens with a length that no startup packet has is refused at once, before anything is kept."""
    with pytest.raises(WireError, match=r"connection A: the client sent a startup packet of \d+ bytes; expected"):
        list(Framer("A", client=True).feed(struct.pack("!I", length)))


def test_a_huge_message_is_refused_by_its_length() -> None:
    """A length beyond the bound is an error when it arrives, not when memory runs out."""
    framer = Framer("A", client=False)
    with pytest.raises(WireError, match="expected 4 to"):
        list(framer.feed(b"D\x7f\xff\xff\xff"))


def test_parse_gives_name_text_and_types() -> None:
    """What a Parse declares is read as the documentation lays it out."""
    message = Message(ord("P"), packets.parse("s1", "SELECT $1", (23, 25)))
    assert parse_sql(message) == ("s1", "SELECT $1", (23, 25))


@pytest.mark.parametrize(
    ("value", "formats", "oid", "expected"),
    [
        (b"12", (), 0, "12"),
        (b"12", (0,), 23, "12"),
        (struct.pack("!i", 12), (1,), 23, 12),
        (struct.pack("!q", -7), (1,), 20, -7),
        (struct.pack("!d", 1.5), (1,), 701, 1.5),
        (b"\x01", (1,), 16, True),
        (b"text", (1,), 25, "text"),
        (b"\xde\xad", (1,), 17, "\\xdead"),
        (b"\xde\xad", (1,), 0, "\\xdead"),
        (b"\x01", (1,), 23, "\\x01"),
        (None, (1,), 23, None),
    ],
)
def test_parameters_are_read(value: bytes | None, formats: tuple[int, ...], oid: int, expected: object) -> None:
    """Text comes as text, the plain binary types as values, everything else as hexadecimal, NULL as None."""
    message = Message(ord("B"), packets.bind("s", [value], formats))
    assert bind_parameters(message, {"s": (oid,)}) == ("s", (expected,))


def test_one_format_serves_all_parameters() -> None:
    """A single format code stands for every parameter, several for one each."""
    values = [struct.pack("!i", 1), struct.pack("!i", 2)]
    message = Message(ord("B"), packets.bind("", values, (1,)))
    assert bind_parameters(message, {"": (23, 23)}) == ("", (1, 2))


def test_errors_give_their_fields() -> None:
    """An error's SQLSTATE and text are found by their one-letter codes."""
    assert error_fields(Message(ord("E"), packets.error("40P01"))) == {"S": "ERROR", "C": "40P01", "M": "no"}
