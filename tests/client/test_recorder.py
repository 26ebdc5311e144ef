"""A client's history: what is written is read again, a torn end is left out, and nothing else is forgiven."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqmodel.client.recorder import Recorder, open_history, read_client_history, server_clock
from pgqmodel.errors import UsageError
from pgqmodel.history import Connected, Ended, Event, Invoked, Returned, parse, render
from pgqmodel.operations import Status

VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))
ROWS = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)
NAMES = st.one_of(st.none(), st.text(max_size=8))
NUMBERS = st.one_of(st.none(), st.integers(1, 2**63))


def recorded(path: Path) -> list[Event]:
    """The events of a file."""
    return list(read_client_history(path))


@given(
    job=NAMES, claim=NUMBERS, row=ROWS, error=NAMES, transaction=NUMBERS, status=st.sampled_from(Status), tmp=st.uuids()
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, job: Any, claim: Any, row: Any, error: Any, transaction: Any, status: Any,
    tmp: Any,
) -> None:  # fmt: skip
    """Every event is read as it was told, whatever text is in it, and is in the notation of histories."""
    path = tmp_path_factory.getbasetemp() / f"{tmp}.jsonl"
    recorder = Recorder(path, "w1.1", "w1", clock=lambda: 5.5)
    recorder.connected()
    assert recorder.invoked("claim", job=job, claim=claim, arguments=row) == 1
    recorder.returned(1, status, job=job, row=row, error=error, transaction=transaction)
    recorder.ended()
    recorder.close()
    events = recorded(path)
    asked: Any = {"operation": "claim", "job": job, "claim": claim, "arguments": row}
    told: Any = {"status": status, "job": job, "row": row, "error": error, "transaction": transaction}
    assert events == [
        Connected(step=1, at=5.5, client="w1.1", worker="w1"),
        Invoked(step=2, at=5.5, client="w1.1", worker="w1", call=1, **asked),
        Returned(step=3, at=5.5, client="w1.1", call=1, **told),
        Ended(step=4, at=5.5, client="w1.1"),
    ]
    assert parse(path.read_text(encoding="ascii")) == events
    path.unlink()


def test_what_json_cannot_say_is_text(tmp_path: Path) -> None:
    """A row's columns of any type are written: what JSON has no word for becomes text."""
    recorder = Recorder(tmp_path / "h", "w1.1", "w1")
    recorder.returned(1, Status.OK, row={"at": dt.datetime(2030, 1, 1, tzinfo=dt.UTC)})
    (event,) = recorded(tmp_path / "h")
    assert isinstance(event, Returned)
    assert event.row == {"at": "2030-01-01 00:00:00+00:00"}


def test_a_torn_end_is_left_out(tmp_path: Path) -> None:
    """However a killed client's last line is torn, the lines before it are read."""
    path = tmp_path / "h"
    recorder = Recorder(path, "w1.1", "w1")
    recorder.invoked("claim")
    whole = path.read_bytes()
    recorder.invoked("heartbeat")
    both = path.read_bytes()
    for end in range(len(whole), len(both)):
        path.write_bytes(both[:end])
        assert len(recorded(path)) == 1


@pytest.mark.parametrize(
    "bad",
    [b"{}\n", b"\n", b'{"event": "invoked"}\n', b"nonsense\n", b'{"event": "no", "step": 1}\n', b"\xff\n", b"[]\n"],
)
def test_any_other_line_is_an_error(tmp_path: Path, bad: bytes) -> None:
    """A line that is no event is named by its number, also when it is the last."""
    path = tmp_path / "h"
    Recorder(path, "w1.1", "w1").connected()
    path.write_bytes(path.read_bytes() + bad)
    with pytest.raises(UsageError, match="line 2 of"):
        recorded(path)


def test_a_history_that_is_not_there(tmp_path: Path) -> None:
    """Reading and writing where there can be no file are the caller's errors."""
    with pytest.raises(UsageError, match="cannot be read"):
        recorded(tmp_path / "none")
    with pytest.raises(UsageError, match="cannot be written"):
        Recorder(tmp_path / "none" / "h", "w1.1", "w1")


def test_clients_of_a_process_share_a_file(tmp_path: Path) -> None:
    """Two clients that write at once: every line whole, steps in the order of lines, numbers of calls given once."""
    recorder = Recorder(tmp_path / "h", "w1.1", "w1")
    others = [recorder, recorder.beside("w1.1-heart")]
    threads = [
        threading.Thread(target=lambda each=each: [each.invoked("claim") for _ in range(2000)]) for each in others
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = recorded(tmp_path / "h")
    assert [event.step for event in events] == list(range(1, 4001))
    assert {event.call for event in events if isinstance(event, Invoked)} == set(range(1, 4001))
    assert [event.at for event in events] == sorted(event.at or 0.0 for event in events)
    assert render(events)


def test_a_directory_gives_each_process_a_name(tmp_path: Path) -> None:
    """In a directory, each incarnation of a worker has a file and a client's name of its own."""
    first, second = (open_history(tmp_path, "w3") for _ in range(2))
    assert (first.client, second.client) == ("w3.1", "w3.2")
    second.connected()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["w3.1.jsonl", "w3.2.jsonl"]
    assert len(recorded(tmp_path / "w3.2.jsonl")) == 1


def test_virtual_time(tmp_path: Path) -> None:
    """A server's clock is read from its file, and moves as it does; what is no clock is refused."""
    file = tmp_path / "clock"
    file.write_bytes((1_500_000).to_bytes(8, "little"))
    clock = server_clock(file)
    assert clock() == 1.5
    with file.open("r+b") as opened:
        opened.write((2_000_000).to_bytes(8, "little"))
    assert clock() == 2.0
    (tmp_path / "short").write_bytes(b"1")
    for wrong in ("none", "short"):
        with pytest.raises(UsageError, match="is not a clock"):
            server_clock(tmp_path / wrong)
