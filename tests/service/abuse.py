"""What strangers do to a service, and its memory after it: `python tests/service/abuse.py [ROUNDS]`, 127.0.0.1 only."""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h2.config
import h2.connection
import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from pgqmodel.server import Cluster
from serving import PATIENCE_SECONDS, Served, prepared, serving

__all__ = ["abuse", "ask", "connect", "preface", "resident", "send", "wait_until"]

STREAMS = 100


def connect(served: Served, window: int | None = None) -> socket.socket:
    """A connection of a stranger, with a small window if it is not going to read."""
    host, port = served.url.removeprefix("http://").split(":")
    stranger = socket.socket()
    if window is not None:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    stranger.settimeout(PATIENCE_SECONDS)
    stranger.connect((host, int(port)))
    return stranger


def ask(path: str) -> bytes:
    """A request as a stranger writes it."""
    return f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()


def preface(path: str, streams: int = 1) -> bytes:
    """What a client of HTTP/2 by prior knowledge sends first: requests for a path."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    headers = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "here")]
    for number in range(streams):
        client.send_headers(2 * number + 1, [*headers, ("x", "y" * 500)], end_stream=True)
    return client.data_to_send()


def send(stranger: socket.socket, data: bytes) -> None:
    """Send what goes; a service may hang up."""
    try:
        stranger.sendall(data)
    except OSError:
        """It did."""


def resident(served: Served) -> int:
    """The memory of the service, in bytes."""
    return int(psutil.Process(served.process.pid).memory_info().rss)


def subscribers(served: Served) -> int:
    """How many streams the service counts."""
    return int(httpx.get(f"{served.url}/health", timeout=PATIENCE_SECONDS).json()["subscribers"])


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask again and again; a condition that does not come is an error."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "the service did not get there"


def abuse(served: Served, *, deaf: int = 250, reconnects: int = 300, pipelines: int = 30, prefaces: int = 10) -> None:
    """Subscribers that never read, reconnects, pipelined requests and HTTP/2; ends when the service let all go."""
    job = served.job()
    served.log(job, ["u" * 100_000] * 40)
    path = f"/jobs/{job}/logs"
    strangers = [connect(served, 4_096) for _ in range(deaf)]
    for stranger in strangers:
        send(stranger, ask(path))
    for stranger in strangers:
        assert stranger.recv(12) == b"HTTP/1.1 200"  # it is subscribed; it reads nothing more
    served.log(job, ["v" * 6_000] * 100)
    for number in range(reconnects):
        with connect(served) as one:
            send(one, ask(path))
            if number % 2:
                one.recv(100)
    for data, count in ((ask("/health") * 200, pipelines), (preface(path, STREAMS), prefaces)):
        several = [connect(served, 4_096) for _ in range(count)]
        for stranger in several:
            send(stranger, data)
        strangers += several
    for stranger in strangers:
        stranger.close()
    wait_until(lambda: subscribers(served) == 0)


def main() -> None:
    """Some rounds; 20 are some minutes. What is left is told once the service has settled."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with (
        tempfile.TemporaryDirectory() as folder,
        Cluster(18, clock=False) as server,
        prepared(server, "abuse") as conninfo,
        serving(conninfo, Path(folder)) as served,
    ):
        subscribers(served)
        before = resident(served)
        for number in range(rounds):
            abuse(served)
            most = resident(served)
            wait_until(lambda: resident(served) * 3 <= before * 4)
            times = f"{most / before:.2f}, then {resident(served) / before:.2f} times"
            print(f"round {number + 1}: {times} of {before / 1e6:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
