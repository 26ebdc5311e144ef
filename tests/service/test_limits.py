"""What strangers can make the service keep: bounded, and given back when they have left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from pgqmodel.server import Cluster
from pgqmodel.service.memory import Room
from service.abuse import abuse, ask, connect, preface, resident, send, wait_until
from serving import Served, prepared, serving


@pytest.fixture
def served(major: int, tmp_path: Path) -> Iterator[Served]:
    """A service of its own: its memory is looked at."""
    with (
        Cluster(major, clock=False) as server,
        prepared(server, "limits") as conninfo,
        serving(conninfo, tmp_path) as service,
    ):
        yield service


def test_what_a_crowd_took_is_given_back(served: Served) -> None:
    """Deaf readers, reconnects, pipelines and HTTP/2: once they have left, all but a third of the memory is back."""
    httpx.get(f"{served.url}/health").raise_for_status()
    before = resident(served)
    for _ in range(2):
        abuse(served, deaf=120, reconnects=60, pipelines=10, prefaces=5)
    wait_until(lambda: resident(served) * 3 <= before * 4)


def test_who_has_left_is_forgotten(served: Served) -> None:
    """A peer that hung up holds no connection, whether a request of its was in work, answered, or never made."""
    httpx.get(f"{served.url}/health").raise_for_status()
    process = psutil.Process(served.process.pid)
    before = process.num_fds()
    strangers = [connect(served) for _ in range(30)]
    for number, stranger in enumerate(strangers):
        send(stranger, (b"", ask("/health"), ask(f"/jobs/{served.job()}/logs"))[number % 3])
    wait_until(lambda: process.num_fds() >= before + 20)
    for stranger in strangers:
        stranger.close()
    wait_until(lambda: process.num_fds() <= before + 2)


def heard(served: Served, data: bytes) -> bytes:
    """All that a stranger is told who sends this, until it is hung up on."""
    with connect(served) as stranger:
        send(stranger, data)
        received = b""
        while piece := stranger.recv(65_536):
            received += piece
        return received


def test_http_2_by_prior_knowledge_is_not_spoken(served: Served) -> None:
    """The preface is answered in HTTP/1.1, with an error, and never in frames."""
    answer = heard(served, preface("/health"))
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"h2" not in answer.split(b"\r\n\r\n")[0]


def test_an_upgrade_to_http_2_is_answered_without_it(served: Served) -> None:
    """A request that offers h2c gets its answer in HTTP/1.1."""
    upgrade = b"Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    answer = heard(served, b"GET /health HTTP/1.1\r\nHost: here\r\n" + upgrade + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"101" not in answer.split(b"\r\n")[0]


def test_bodies_share_a_room(served: Served) -> None:
    """Strangers who each begin a large body fill the room for bodies: a further one is told to come later."""
    head = b"POST /webhooks/github HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n"
    strangers = [connect(served) for _ in range(24)]
    for stranger in strangers:
        send(stranger, head + b"x" * 900_000)
    answers = []
    for stranger in strangers:
        send(stranger, b"x" * 100_000)
        answers.append(stranger.recv(12))
        stranger.close()
    assert {b"HTTP/1.1 401", b"HTTP/1.1 503"} == set(answers)


def test_a_room_has_only_so_much() -> None:
    """What is taken cannot be taken by another until it is given back."""
    room = Room(10)
    assert [room.take(6), room.take(5), room.take(4)] == [True, False, True]
    room.give(6)
    assert (room.take(7), room.take(6), room.free) == (False, True, 0)
