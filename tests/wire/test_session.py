"""One connection's state machine, from bytes: what is held, what is added on the way, and what the client sees."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqmodel.errors import WireError
from pgqmodel.wire import LineState, Session
from wire import packets

BEGIN, COMMIT, ROLLBACK = (packets.query(word) for word in ("BEGIN", "COMMIT", "ROLLBACK"))
PROBE = packets.query("SELECT pg_catalog.pg_current_xact_id_if_assigned()")
BEGUN = packets.complete("BEGIN") + packets.ready("T")
UPDATE = packets.query("UPDATE t SET a = 1")
UPDATED = packets.complete("UPDATE 1") + packets.ready("T")
WROTE = packets.fields("x") + packets.row(b"777") + packets.complete("SELECT 1") + packets.ready("T")
READ_ONLY = packets.fields("x") + packets.row(None) + packets.complete("SELECT 1") + packets.ready("T")
COMMITTED = packets.complete("COMMIT") + packets.ready("I")
FAILED = packets.error("23505") + packets.ready("E")
ROLLED_BACK = packets.complete("ROLLBACK") + packets.ready("I")


def opened(*, split_commits: bool = True) -> Session:
    """A session that has been let in, with empty buffers."""
    session = Session(name="A", split_commits=split_commits)
    session.client_bytes(packets.startup())
    session.server_bytes(packets.AUTHENTICATED)
    session.to_server.clear()
    session.to_client.clear()
    return session


def taken(buffer: bytearray) -> bytes:
    """What stands in a buffer, which is empty afterwards."""
    data = bytes(buffer)
    buffer.clear()
    return data


def test_a_session_opens() -> None:
    """Startup and authentication pass through as they are; the backend's pid is remembered."""
    session = Session(name="A")
    session.client_bytes(packets.startup())
    assert (session.state, taken(session.to_server)) == (LineState.STARTING, packets.startup())
    session.server_bytes(packets.AUTHENTICATED)
    assert (session.state, taken(session.to_client)) == (LineState.IDLE, packets.AUTHENTICATED)
    assert session.backend_pid == 4711


@pytest.mark.parametrize("code", [80877103, 80877104], ids=["SSL", "GSS"])
def test_encryption_is_declined(code: int) -> None:
    """A client that asks for SSL or GSS gets an N, and opens its session in plain text behind it."""
    session = Session(name="A")
    session.client_bytes(packets.request(code) + packets.startup())
    assert session.to_client == b"N"
    assert session.to_server == packets.startup()


def test_a_cancel_request_is_kept_apart() -> None:
    """A connection that turns out to be a cancel request is none that is gated."""
    session = Session(name="A")
    wanted = packets.request(80877102, bytes(8))
    session.client_bytes(wanted)
    assert (session.cancel, bytes(session.to_server)) == (wanted, b"")


def test_a_write_is_held_twice() -> None:
    """A statement waits, runs in a transaction of ours, waits with its COMMIT, and then answers as if alone."""
    session = opened()
    session.client_bytes(UPDATE)
    assert (session.state, taken(session.to_server)) == (LineState.HELD, b"")
    session.release()
    assert (session.state, taken(session.to_server)) == (LineState.RUNNING, BEGIN + UPDATE + PROBE)
    session.server_bytes(BEGUN + UPDATED + WROTE)
    assert (session.state, taken(session.to_client)) == (LineState.COMMIT_HELD, b"")
    session.commit()
    assert taken(session.to_server) == COMMIT
    session.server_bytes(COMMITTED)
    assert taken(session.to_client) == packets.complete("UPDATE 1") + packets.ready("I")
    assert [(unit.open, unit.committed, unit.is_commit) for unit in session.ran] == [
        (True, False, False),
        (False, True, True),
    ]


def test_what_changed_nothing_commits_at_once() -> None:
    """A statement without a transaction id has nothing to publish: its COMMIT needs no decision."""
    session = opened()
    session.client_bytes(UPDATE)
    session.release()
    session.server_bytes(BEGUN + UPDATED + READ_ONLY)
    assert session.to_server.endswith(COMMIT)
    session.server_bytes(COMMITTED)
    assert [(unit.committed, unit.is_commit) for unit in session.ran] == [(True, False)]


def test_what_failed_is_rolled_back() -> None:
    """An error inside our transaction reaches the client with an idle status, as if there had been none."""
    session = opened()
    session.client_bytes(UPDATE)
    session.release()
    taken(session.to_server)
    session.server_bytes(BEGUN + FAILED + packets.error("25P02") + packets.ready("E"))
    assert taken(session.to_server) == ROLLBACK
    session.server_bytes(ROLLED_BACK)
    assert taken(session.to_client) == packets.error("23505") + packets.ready("I")
    assert [(unit.error, unit.committed) for unit in session.ran] == [("23505", False)]


def test_a_commit_that_fails_is_told() -> None:
    """If the COMMIT fails, the client gets the error in the place of its tag: it did not happen."""
    session = opened()
    session.client_bytes(UPDATE)
    session.release()
    session.server_bytes(BEGUN + UPDATED + WROTE)
    session.commit()
    session.server_bytes(packets.error("23503") + packets.ready("I"))
    assert taken(session.to_client) == packets.error("23503") + packets.ready("I")
    assert [(unit.error, unit.committed) for unit in session.ran][-1] == ("23503", False)


def test_a_begin_rides_with_its_statement() -> None:
    """A plain BEGIN is answered at once, and goes to the server with the statement that follows it."""
    session = opened()
    session.client_bytes(BEGIN)
    assert taken(session.to_client) == BEGUN
    session.client_bytes(UPDATE)
    session.release()
    assert taken(session.to_server) == BEGIN + UPDATE
    session.server_bytes(BEGUN + UPDATED)
    assert taken(session.to_client) == UPDATED
    assert session.status == "T"


def test_nothing_is_added_when_commits_are_not_split() -> None:
    """Where only statements are to be ordered, each passes as it came."""
    session = opened(split_commits=False)
    session.client_bytes(UPDATE)
    session.release()
    assert taken(session.to_server) == UPDATE


def test_an_extended_cycle_is_one_unit() -> None:
    """Parse, Bind, Execute and Sync wait together and are told with text and parameters."""
    session = opened()
    cycle = (packets.parse("", "UPDATE t SET a = $1"), packets.bind("", [b"7"]), packets.execute(), packets.SYNC)
    for message in cycle[:-1]:
        session.client_bytes(message)
        assert session.state is LineState.IDLE
    session.client_bytes(cycle[-1])
    assert session.unit is not None
    assert (session.unit.sql, session.unit.parameters) == ("UPDATE t SET a = $1", ("7",))
    session.release()
    assert taken(session.to_server) == BEGIN + b"".join(cycle) + PROBE


def test_a_flush_ends_a_part() -> None:
    """A driver that asks for answers with Flush gets them before its Sync; parts of a cycle share a transaction."""
    session = opened()
    prepared = packets.parse("s", "UPDATE t SET a = $1") + packets.FLUSH
    session.client_bytes(prepared)
    assert session.unit is not None
    assert session.unit.free
    session.release()
    assert taken(session.to_server) == BEGIN + prepared
    session.server_bytes(BEGUN + packets.PARSE_COMPLETE)
    assert (session.state, taken(session.to_client)) == (LineState.IDLE, packets.PARSE_COMPLETE)
    session.client_bytes(packets.bind("s", [b"7"]) + packets.execute() + packets.SYNC)
    session.release()
    assert not session.to_server.startswith(BEGIN)
    session.server_bytes(packets.BIND_COMPLETE + UPDATED + WROTE)
    assert session.state is LineState.COMMIT_HELD


def test_binary_parameters_have_the_types_that_the_server_told() -> None:
    """A driver that declares no types, as asyncpg does, is answered which there are: its values are told as values."""
    session = opened()
    sql = "SELECT pgqmodel.work($1)"
    describe = packets.typed("D", b"Ss1\0")
    session.client_bytes(packets.parse("s1", sql) + describe + packets.FLUSH)
    session.release()
    session.server_bytes(
        BEGUN + packets.PARSE_COMPLETE + packets.typed("t", struct.pack("!HI", 1, 20)) + packets.fields("work")
    )
    session.client_bytes(packets.bind("s1", [struct.pack("!q", 7)], (1,)) + packets.execute() + packets.SYNC)
    assert session.unit is not None
    assert (session.unit.sql, session.unit.parameters) == (sql, (7,))


def test_notifications_are_held() -> None:
    """A notification waits until it is delivered, whatever else arrives."""
    session = opened()
    notified = packets.typed("A", bytes(4) + b"jobs\0\0")
    session.server_bytes(notified)
    assert not session.to_client
    session.deliver()
    assert session.to_client == notified


def test_a_muted_session_keeps_no_answer() -> None:
    """After a cut what was released still runs to its commit, and the client hears nothing."""
    session = opened()
    session.client_bytes(UPDATE)
    session.release()
    session.muted = True
    session.server_bytes(BEGUN + UPDATED + WROTE)
    assert session.to_server.endswith(COMMIT)
    session.server_bytes(COMMITTED)
    assert not session.to_client
    assert session.ran[-1].committed


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Data cut at some places."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


CUTS = st.lists(st.integers(0, 500), max_size=12)


@given(CUTS, CUTS)
def test_any_split_tells_the_same(client: list[int], server: list[int]) -> None:
    """However the bytes of both sides are cut, the session ends in the same state with the same answers."""
    session = opened()
    for piece in pieces(UPDATE + packets.parse("", "SELECT $1") + packets.bind("", [b"1"]) + packets.SYNC, client):
        session.client_bytes(piece)
    session.release()
    for piece in pieces(BEGUN + UPDATED + WROTE, server):
        session.server_bytes(piece)
    assert session.state is LineState.COMMIT_HELD
    session.commit()
    for piece in pieces(COMMITTED, server):
        session.server_bytes(piece)
    assert (session.state, taken(session.to_client)) == (
        LineState.HELD,
        packets.complete("UPDATE 1") + packets.ready("I"),
    )
    assert session.unit is not None
    assert session.unit.sql == "SELECT $1"


def starting() -> Session:
    """A session of which nothing is known yet."""
    return Session(name="A")


def running() -> Session:
    """A session whose statement is on its way."""
    session = opened()
    session.client_bytes(UPDATE)
    session.release()
    return session


def committing() -> Session:
    """A session whose COMMIT is on its way."""
    session = running()
    session.server_bytes(BEGUN + UPDATED + WROTE)
    session.commit()
    return session


def probing() -> Session:
    """A session whose statement is done, and which waits to hear whether it wrote."""
    session = running()
    session.server_bytes(BEGUN + UPDATED)
    return session


BODIES = st.one_of(st.binary(max_size=12), st.just(b"I"), st.just(b""))
JUNK = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.builds(packets.typed, st.sampled_from("QPBDEHSFXCdcf123ACDEGHIKNRSTVWZnst"), BODIES),
    ),
    max_size=6,
).map(b"".join)


@pytest.mark.parametrize("state", [starting, opened, running, probing, committing])
@given(junk=JUNK, from_client=st.booleans())
def test_junk_breaks_nothing_but_its_connection(state: Callable[[], Session], junk: bytes, from_client: bool) -> None:
    """Whatever either side sends in whatever state: it is taken in, or it is a WireError that names the connection."""
    session = state()
    try:
        (session.client_bytes if from_client else session.server_bytes)(junk)
    except WireError as error:
        assert "connection A" in str(error)


LOCKING = "SELECT id FROM jobs WHERE pg_try_advisory_lock(id)"
FOUND = packets.fields("id") + packets.row(b"1") + packets.complete("SELECT 1")
BOUND = packets.typed("1") + packets.typed("2")


@pytest.mark.parametrize("simple", [True, False])
def test_a_select_that_locks_what_it_finds_takes_its_snapshot_first(simple: bool) -> None:
    """The Bind is held and let through alone, then the Execute; the client gets what it asked for, and nothing else."""
    session = opened()
    first = packets.parse("", LOCKING) + packets.bind("")
    rest = packets.typed("D", b"P\0") + packets.execute() + packets.SYNC
    session.client_bytes(packets.query(LOCKING) if simple else first + rest)

    session.release()
    assert taken(session.to_server) == BEGIN + first + packets.FLUSH
    session.server_bytes(BEGUN + BOUND)
    assert (session.state, session.unit and session.unit.sql) == (LineState.HELD, LOCKING)
    assert [unit.is_snapshot for unit in session.ran] == [True]

    session.release()
    assert taken(session.to_server) == rest + PROBE
    session.server_bytes(FOUND + packets.ready("T") + READ_ONLY)
    session.server_bytes(COMMITTED)
    assert taken(session.to_client) == (b"" if simple else BOUND) + FOUND + packets.ready("I")
    assert [unit.tag for unit in session.ran] == ["", "SELECT 1"]


def test_an_error_at_the_bind_reaches_the_client() -> None:
    """The rest is sent all the same: its Sync ends the server's silence after the error."""
    session = opened()
    session.client_bytes(packets.query(LOCKING))
    session.release()
    session.server_bytes(BEGUN + packets.error("42P01"))
    session.release()
    session.server_bytes(packets.ready("E") + packets.error("25P02") + packets.ready("E"))
    session.server_bytes(ROLLED_BACK)

    assert (session.state, taken(session.to_client)) == (LineState.IDLE, packets.error("42P01") + packets.ready("I"))
