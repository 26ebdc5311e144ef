"""Log streams over real HTTP: complete, in order, once; whoever does not read holds nobody up."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from pgqmodel.reference.statements import STATEMENTS
from pgqmodel.server import Cluster
from pgqmodel.service.hub import (
    BUFFER_BYTES_MAX,
    Subscriber,
    read_notification,
    render_json,
    render_text,
)
from pgqmodel.service.log_stream import READ_LINES_MAX, read_last
from pgqmodel.service.webhooks import Refusal
from serving import PATIENCE_SECONDS, Event, Served, events, prepared, serving

ODD = [
    "",
    " ",
    "two\nlines",
    "\n",
    "a\n\nb\n",
    "\tt\u00e4b",
    "data: id: 7",
    ":no comment",
    "\u2028\u2029\x0b\x1c\x85",
    "\U00010348" * 3,
]
LONG = ["x" * 7_900, "\u00e9" * 3_980, "\u20ac" * 4_000, "y" * 8_000, "z" * 1_000_000]


@pytest.fixture(scope="module")
def served(real_server: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for the tests that leave it running; patient, so that a slow machine is no deaf reader."""
    folder = tmp_path_factory.mktemp("service")
    with prepared(real_server, "streams") as conninfo, serving(conninfo, folder, "--stuck-seconds", "600") as one:
        yield one


@pytest.fixture
def job(served: Served) -> int:
    """A running job."""
    return served.job()


def complete(served: Served, job: int) -> None:
    """End a job."""
    served.sql("UPDATE job_queue SET status = 'completed' WHERE id = %s", job)


def read(served: Served, job: int, last: int = 0, **query: str) -> list[Event]:
    """Every event of an ended job's stream after one."""
    headers = {"last-event-id": str(last)}
    url = f"{served.url}/jobs/{job}/logs"
    with httpx.stream("GET", url, headers=headers, params=query, timeout=PATIENCE_SECONDS) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return list(events(response))


def stored(served: Served, job: int) -> list[tuple[int, str]]:
    """What the table has of a job."""
    rows = served.sql("SELECT sequence, line FROM job_logs WHERE job = %s ORDER BY sequence", job)
    return [(sequence, line) for sequence, line in rows]


def pairs(found: list[Event]) -> list[tuple[int, str]]:
    """Sequence and line of every event but the end, which must be there."""
    assert (found[-1].kind, found[-1].data) == ("end", "completed")
    return [(event.sequence or 0, event.data) for event in found[:-1]]


@pytest.mark.parametrize("live", [False, True], ids=["from the table", "as they come"])
def test_every_line_arrives_as_it_is(served: Served, job: int, live: bool) -> None:
    """Empty, multi-line, multi-byte and oversize lines come once, in order, unchanged; line by line and in packs."""
    lines = ["first", *ODD, *LONG, "last"]
    with httpx.stream("GET", f"{served.url}/jobs/{job}/logs", timeout=PATIENCE_SECONDS) as response:
        found = events(response)
        served.log(job, ["ready"])
        read_live = [next(found)]
        for line in lines:
            served.log(job, [line])
            if live:
                read_live.append(next(found))
        served.log(job, lines)
        complete(served, job)
        read_live += list(found)
    assert pairs(read_live) == stored(served, job)
    assert [line for _, line in pairs(read_live)] == ["ready", *lines, *lines]


def test_carriage_returns(served: Served, job: int) -> None:
    """Server-sent events have no carriage returns: plain text has line feeds in their place, JSON is exact."""
    lines = ["a\r\nb", "50%\r100%", "\r", '\\r " \u20ac']
    served.log(job, lines)
    complete(served, job)
    assert [data for _, data in pairs(read(served, job))] == ["a\nb", "50%\n100%", "\n", lines[3]]
    assert [json.loads(data) for _, data in pairs(read(served, job, format="json"))] == lines


def test_resuming_at_every_line(served: Served, job: int) -> None:
    """Whatever line a reader has last, it gets exactly those after it; the query parameter does the same."""
    served.log(job, [str(number) for number in range(20)])
    complete(served, job)
    everything = stored(served, job)
    for position, (sequence, _) in enumerate(everything):
        assert pairs(read(served, job, sequence)) == everything[position + 1 :]
    assert pairs(read(served, job, last_event_id=str(everything[-2][0]))) == everything[-1:]


def test_more_lines_than_a_read(served: Served, job: int) -> None:
    """A reader far behind gets everything, read by read."""
    served.log(job, [f"line {number}" for number in range(3 * READ_LINES_MAX + 1)])
    complete(served, job)
    assert pairs(read(served, job)) == stored(served, job)


def test_jobs_do_not_mix(served: Served) -> None:
    """Each stream has its own job's lines only, and ends with its own job."""
    jobs = [served.job() for _ in range(3)]
    for number in range(30):
        served.log(jobs[number % 3], [f"{number}"])
    for each in jobs:
        complete(served, each)
    assert [[data for _, data in pairs(read(served, each))] for each in jobs] == [
        [str(number) for number in range(start, 30, 3)] for start in range(3)
    ]


def test_a_lost_listener_loses_nothing(served: Served, job: int) -> None:
    """The LISTEN connection is terminated again and again while lines are written: none missing, none twice."""
    terminate = (
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = 'pgqmodel-hub'"
    )
    received: list[Event] = []
    killed = 0
    with httpx.stream("GET", f"{served.url}/jobs/{job}/logs", timeout=PATIENCE_SECONDS) as response:
        found = events(response)
        for number in range(60):
            served.log(job, [f"{number}.{part}" for part in range(20)])
            if number % 10 == 5:
                killed += served.sql(terminate)[0][0]
            if number % 10 == 9:
                # Read up to here, so that the listener is back before it is terminated again.
                while not received or received[-1].data != f"{number}.19":
                    received.append(next(found))
        complete(served, job)
        received += list(found)
    assert killed >= 3
    assert pairs(received) == stored(served, job)
    assert len(received) == 1_201


def test_the_database_crashes_under_a_stream(major: int, tmp_path: Path) -> None:
    """The server is killed and restarted while a stream is open: it goes on, with nothing committed missing."""
    with (
        Cluster(major, clock=False) as server,
        prepared(server, "crash") as conninfo,
        serving(conninfo, tmp_path) as served,
    ):
        job = served.job()
        with httpx.stream("GET", f"{served.url}/jobs/{job}/logs", timeout=PATIENCE_SECONDS) as response:
            found = events(response)
            served.log(job, ["before"])
            received = [next(found)]
            server.crash()
            server.restart()
            served.log(job, ["after", "w" * 9_000])
            complete(served, job)
            received += list(found)
        assert pairs(received) == stored(served, job)
        assert served.end() == 0


def follow(served: Served, job: int, hang_up_every: int) -> list[tuple[int, str]]:
    """Read a job to its end over many connections, each from where the one before was hung up on."""
    received: list[tuple[int, str]] = []
    url = f"{served.url}/jobs/{job}/logs"
    while True:
        headers = {"last-event-id": str(received[-1][0])} if received else {}
        with httpx.stream("GET", url, headers=headers, timeout=PATIENCE_SECONDS) as response:
            for number, event in enumerate(events(response), 1):
                if event.kind == "end":
                    return received
                assert event.sequence is not None
                received.append((event.sequence, event.data))
                if number % hang_up_every == 0:
                    break


def test_readers_that_come_and_go(served: Served) -> None:
    """Ten readers of five jobs hang up and resume at different places while lines are written: each gets all, once."""
    jobs = [served.job() for _ in range(5)]
    with ThreadPoolExecutor() as threads:
        readers = [
            (job, threads.submit(follow, served, job, every))
            for job, every in zip(jobs * 2, (7, 13, 29, 61, 97, 11, 23, 41, 83, 1_000), strict=True)
        ]
        for number in range(40):
            for job in jobs:
                served.log(job, [f"{number}.{part}" + "o" * (number % 10 // 9 * 9_000) for part in range(job % 3 + 1)])
        for job in jobs:
            complete(served, job)
        received = [(job, reader.result()) for job, reader in readers]
    for job, lines in received:
        assert lines == stored(served, job)


def stop_reading(served: Served, job: int) -> socket.socket:
    """A subscriber with a small window that asks for a stream and reads nothing."""
    host, port = served.url.removeprefix("http://").split(":")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    deaf.connect((host, int(port)))
    deaf.settimeout(PATIENCE_SECONDS)
    deaf.sendall(f"GET /jobs/{job}/logs HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    return deaf


def sequences(raw: bytes) -> list[int]:
    """The `id:` lines of a raw answer whose chunks were taken out by the caller."""
    return [int(line[4:]) for line in raw.split(b"\n") if line.startswith(b"id: ")]


def dechunk(raw: bytes) -> bytes:
    """The body of a chunked answer."""
    body, rest = b"", raw.partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2 :]
        if not length:
            break
    return body


def test_a_deaf_reader_holds_nobody_up(served: Served, job: int) -> None:
    """One reads nothing while 5 MB go by: another gets every line meanwhile, and the deaf one all when it reads."""
    deaf = stop_reading(served, job)
    line = "v" * 6_000
    with httpx.stream("GET", f"{served.url}/jobs/{job}/logs", timeout=PATIENCE_SECONDS) as response:
        found = events(response)
        received = []
        for number in range(40):
            served.log(job, [f"{number} {part} {line}" for part in range(20)])
            received += [next(found) for _ in range(20)]
        complete(served, job)
        received += list(found)
    everything = stored(served, job)
    assert pairs(received) == everything
    raw = b""
    while not raw.endswith(b"0\r\n\r\n"):
        piece = deaf.recv(1 << 20)
        assert piece, "the service hung up on a reader that came back in time"
        raw += piece
    deaf.close()
    assert sequences(dechunk(raw)) == [sequence for sequence, _ in everything]


def test_who_stays_deaf_is_dropped(real_server: Cluster, tmp_path: Path) -> None:
    """A reader that takes nothing for too long is hung up on, and does not hold up the end of the service."""
    with prepared(real_server, "deaf") as conninfo, serving(conninfo, tmp_path, "--stuck-seconds", "0.5") as served:
        job = served.job()
        deaf = stop_reading(served, job)
        served.log(job, ["u" * 1_000_000] * 8)
        subscribers = 1
        while subscribers:
            # Health says when the service has let it go.
            subscribers = httpx.get(f"{served.url}/health").json()["subscribers"]
        with pytest.raises(ConnectionResetError):
            while deaf.recv(1 << 20):
                """What was on its way."""
            raise ConnectionResetError
        deaf.close()
    with prepared(real_server, "deaf") as conninfo, serving(conninfo, tmp_path) as served:
        job = served.job()
        served.log(job, ["u" * 1_000_000] * 8)
        deaf = stop_reading(served, job)
        while not httpx.get(f"{served.url}/health").json()["subscribers"]:
            """Until it is subscribed."""
        assert served.end() == 0
        deaf.close()


def test_silence_is_kept_alive(real_server: Cluster, tmp_path: Path) -> None:
    """A stream without lines says now and then, in a comment, that it is there."""
    options = ("--keep-alive-seconds", "0.1")
    with prepared(real_server, "silent") as conninfo, serving(conninfo, tmp_path, *options) as served:
        with httpx.stream("GET", f"{served.url}/jobs/{served.job()}/logs", timeout=PATIENCE_SECONDS) as response:
            raw, pieces = b"", response.iter_raw()
            while raw.count(b": still here\n\n") < 3:
                raw += next(pieces)
        assert raw.startswith(b"retry: 500\n\n")


def test_a_deleted_job_ends_its_streams(served: Served, job: int) -> None:
    """A job whose row is deleted has no more lines: the stream says so and ends."""
    with httpx.stream("GET", f"{served.url}/jobs/{job}/logs", timeout=PATIENCE_SECONDS) as response:
        served.sql("DELETE FROM job_queue WHERE id = %s", job)
        assert [(event.kind, event.data) for event in events(response)] == [("end", "gone")]


def test_strange_notifications_are_ignored(served: Served, job: int) -> None:
    """Whoever may connect may notify: what is not ours changes nothing."""
    with httpx.stream("GET", f"{served.url}/jobs/{job}/logs", timeout=PATIENCE_SECONDS) as response:
        for payload in ("", "{", "[]", "7", '{"job": "x"}', '{"job": 1, "sequence": [1], "lines": []}', "null"):
            served.sql("SELECT pg_notify('job_logs', %s)", payload)
        served.log(job, ["still"])
        complete(served, job)
        assert [data for _, data in pairs(list(events(response)))] == ["still"]


def test_a_late_writer_waits(served: Served, job: int) -> None:
    """Two writers of one job go one after the other: no lower sequence is committed after a higher one."""
    served.sql("UPDATE job_queue SET attempts = 1 WHERE id = %s", job)
    values = {"job": job, "attempt": 1, "line": "early"}
    with psycopg.connect(served.conninfo) as early, psycopg.connect(served.conninfo, autocommit=True) as late:
        early.execute(STATEMENTS["log"], values)
        late.execute("SET lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            late.execute(STATEMENTS["log"], values | {"line": "late"})
        with pytest.raises(psycopg.errors.LockNotAvailable):
            late.execute("UPDATE job_queue SET status = 'completed' WHERE id = %s", [job])


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b'{"job": "7", "first": 12, "lines": ["a", "b"]}', [(7, 12, "a"), (7, 13, "b")]),
        (b'{"job": 7, "sequence": 12, "lines": ["a", "b"]}', [(7, 12, "a"), (7, 13, "b")]),
        (b'{"job": 7, "sequence": [12, 15], "lines": ["a", "b"]}', [(7, 12, "a"), (7, 15, "b")]),
        (b'{"job": "7", "sequence": 13}', [(7, 13, None)]),
        (b'{"job": 7, "sequence": 13, "line": "a"}', [(7, 13, "a")]),
        (b"nonsense", []),
    ],
)
def test_notifications_are_read(payload: bytes, told: list[tuple[int, int, str | None]]) -> None:
    """One line, several, or only where one is."""
    assert list(read_notification(payload)) == told


@pytest.mark.parametrize("given", [["-1"], ["1.5"], ["x"], [""], ["9" * 19], ["9" * 40], ["1", "2"], ["\u0661"]])
def test_a_position_is_a_sequence(given: list[str]) -> None:
    """What is no sequence is refused, and not taken for the beginning."""
    with pytest.raises(Refusal):
        read_last(given)


def test_a_full_buffer_sends_to_the_table() -> None:
    """What does not fit makes the reader fall behind; nothing that it has is given twice."""
    subscriber = Subscriber(1, 5, render_text)
    subscriber.catch_up()
    for sequence in range(4, 9):
        subscriber.push(sequence, render_text(sequence, "line"))
    assert sequences(subscriber.take()) == [6, 7, 8]
    assert subscriber.last == 8
    subscriber.push(9, b"." * BUFFER_BYTES_MAX)
    assert not subscriber.behind
    subscriber.push(10, b".")
    assert subscriber.behind
    assert (subscriber.take(), subscriber.last) == (b"", 8)
    assert render_json(1, 'a\r"') == b'id: 1\ndata: "a\\r\\""\n\n'
