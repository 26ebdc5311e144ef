"""One connection through the gate: a session's state on two sockets. It decides nothing; `proxy` does."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator, Sequence

from pgqmodel.wire.session import LineState, Session, Unit

__all__ = ["CHUNK", "Line", "ready"]

CHUNK = 1 << 18


class Line:
    """One connection through the gate: its session and its two sockets."""

    def __init__(
        self, name: str, client: socket.socket, server: socket.socket, *, split_commits: bool, turns: Iterator[int]
    ) -> None:
        self.name = name
        self.session = Session(name=name, split_commits=split_commits, turns=turns)
        self.client = client
        self.server = server
        self.blocked_by: list[int] | None = None
        """The pids that it waits for, as confirmed; empty if it sleeps on the clock, None if it does not wait."""
        self.cancelled = False
        """Whether its statement was cancelled and has not ended yet. Meanwhile it is not taken for blocked."""

    @property
    def state(self) -> LineState:
        """The state of the connection."""
        return self.session.state

    @property
    def unit(self) -> Unit | None:
        """The unit that waits or runs."""
        return self.session.unit

    @property
    def backend_pid(self) -> int:
        """The server process that serves the connection."""
        return self.session.backend_pid

    @property
    def notifications(self) -> int:
        """How many notifications wait to be delivered."""
        return len(self.session.notifications)

    @property
    def waits_for_client(self) -> bool:
        """Whether the server has all data of a COPY that came so far, and waits for more."""
        return self.session.asks and not self.session.to_server

    def take_ran(self) -> list[Unit]:
        """The units that ran since the last time this was asked."""
        ran, self.session.ran = self.session.ran, []
        return ran

    def flush_server(self) -> None:
        """Send pending bytes to the server, as many as it takes; the rest goes when the gate settles."""
        if self.session.to_server:
            _send(self.server, self.session.to_server)

    def flush_client(self) -> bool:
        """Send pending bytes to the client, as many as it takes. Return whether any went."""
        return bool(self.session.to_client) and _send(self.client, self.session.to_client)

    @property
    def awaits(self) -> int:
        """The events to poll the server's socket for."""
        return select.POLLIN | (select.POLLOUT if self.session.to_server else 0)

    def meet_server(self) -> None:
        """Read from the server, and send it pending bytes, as many as it takes."""
        try:
            data = self.server.recv(CHUNK)
        except BlockingIOError:
            self.flush_server()
            return
        except OSError:
            data = b""
        self.cancelled = False
        self.session.server_bytes(data)
        self.flush_server()
        self.flush_client()
        if not data:
            self.close()

    def close(self) -> None:
        """Close both sides at once; closing twice is fine."""
        self.session.close()
        self.session.to_server.clear()
        self.blocked_by = None
        self.client.close()
        self.server.close()


def ready(lines: Sequence[Line], patience_ms: float) -> list[Line]:
    """Wait for at most so long; return the lines whose server has sent something, or takes pending bytes again."""
    by_fileno = {line.server.fileno(): line for line in lines if line.server.fileno() >= 0}
    poll = select.poll()
    for fileno, line in by_fileno.items():
        poll.register(fileno, line.awaits)
    return [by_fileno[fileno] for fileno, _ in poll.poll(patience_ms)]


def _send(side: socket.socket, pending: bytearray) -> bool:
    """Send as much as the peer takes. Return whether any went.

    It never waits for room: the gate would hang if a client pipelines long answers, or sends COPY data that its server
    does not read behind a lock. If the peer is gone, the bytes are dropped without an error: its last message may
    still be there to be read.
    """
    before = len(pending)
    try:
        while pending:
            del pending[: side.send(pending)]
    except BlockingIOError:
        pass
    except OSError:
        pending.clear()
        return False
    return len(pending) < before
