"""The doors of the gate: the sockets where clients come in, and the reading of what they send.

Every client has a door of its own, and the door gives its connection a name. A connection becomes a line of the gate
when its client has begun the start-up. A second connection under the name of an open line is refused: steps name
their client, so with two lines of one name a step would not say which of them goes on.

A program may open several connections. Its door numbers them as they come: `A.1`, `A.2`. Where there are programs,
one thing happens at a time: one connection is accepted, one starts, one client is answered. Otherwise two answers
would race through a program, and the same steps would not always give the same story.
"""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from attrs import define

from pgqmodel.errors import WireError
from pgqmodel.wire.line import CHUNK, Line
from pgqmodel.wire.messages import error_response
from pgqmodel.wire.units import LineState, Unit

__all__ = ["GUARD_SECONDS", "Address", "Doors"]

GUARD_SECONDS = 15.0
FULL_BYTES = 1 << 13
"""A client that has sent so much at once may be waiting for room to send the rest."""
Address = str | tuple[str, int]


@define
class _Door:
    """A listener, and the names of the connections that come through it."""

    name: str
    listener: socket.socket
    most: int = 0
    """How many connections may be open at once, each with a number; 0: one, under the door's own name."""
    came: int = 0

    def next_name(self) -> str:
        """The name of the connection that comes next."""
        self.came += 1
        return f"{self.name}.{self.came}" if self.most else self.name


class Doors:
    """The listeners of one gate and the clients behind them. `lines` and `errors` belong to the gate and are shared.

    `end` closes a line and waits for the end of its backend.
    """

    def __init__(
        self,
        server: Address,
        *,
        directory: Path | str,
        lines: dict[str, Line],
        errors: list[WireError],
        end: Callable[[Line], None],
        split_commits: bool,
    ) -> None:
        self._server = server
        self._directory = tempfile.TemporaryDirectory(prefix="gate-", dir=directory)
        self._lines = lines
        self._errors = errors
        self._end = end
        self._split_commits = split_commits
        self._turns = itertools.count(1)
        self.one_by_one = False
        """Whether no two clients may be told something at once."""
        self.left: dict[str, list[Unit]] = {}
        """The units that ran on lines whose clients have left since, and that nobody has asked for yet."""
        self._hosts: dict[str, tuple[str, _Door]] = {}
        self._listeners: dict[int, _Door] = {}
        self._clients: dict[int, Line] = {}
        self._watched = select.poll()

    def close(self) -> None:
        """Close the listeners and remove their directory."""
        for door in self._listeners.values():
            door.listener.close()
        self._directory.cleanup()

    def forget_closed(self) -> None:
        """Stop watching the sockets of clients when their lines are closed."""
        for fileno, line in list(self._clients.items()):
            if line.state is LineState.CLOSED:
                self._forget(fileno)

    def listen(self, name: str, *, most: int = 0) -> str:
        """Open a socket for this client alone, and return its directory, to be used as `host`.

        With `most` it may have so many connections at once; they are numbered from 1, anew with each call.
        """
        if name not in self._hosts:
            place = Path(self._directory.name) / name
            place.mkdir()
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(place / ".s.PGSQL.5432"))
            self._hosts[name] = (str(place), self._serve(name, listener))
        place_name, door = self._hosts[name]
        door.most, door.came = most, 0
        return place_name

    def listen_tcp(self, name: str) -> int:
        """Open a port on the loopback interface, for a client that cannot use a Unix socket."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
        self._serve(name, listener)
        port: int = listener.getsockname()[1]
        return port

    def _serve(self, name: str, listener: socket.socket) -> _Door:
        listener.listen()
        listener.setblocking(False)
        door = self._listeners[listener.fileno()] = _Door(name, listener)
        self._watched.register(listener, select.POLLIN)
        return door

    def _accept(self, door: _Door) -> None:
        client, _ = door.listener.accept()
        client.setblocking(False)
        open_now = sum(line.name.startswith(f"{door.name}.") for line in self._clients.values())
        if door.most and open_now >= door.most:
            _refuse(client, "53300", _TOO_MANY.format(name=door.name, most=door.most))
            return
        try:
            server = self._connect()
        except OSError as error:
            _refuse(client, "08006", _NO_ANSWER.format(name=door.name, error=error))
            return
        line = Line(door.next_name(), client, server, split_commits=self._split_commits, turns=self._turns)
        self._clients[client.fileno()] = line
        self._watched.register(client, select.POLLIN)

    def _connect(self) -> socket.socket:
        """Connect to the server. This blocks, but briefly: the server is on this machine or in the local network."""
        if isinstance(self._server, str):
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(self._server)
            except OSError:
                server.close()
                raise
        else:
            server = socket.create_connection(self._server, timeout=GUARD_SECONDS)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.setblocking(False)
        return server

    def look_at_clients(self) -> bool:
        """Read from the clients, accept new ones and drop those that left. Return whether a client may move again."""
        answered = False
        # Clients that have a line come first: one that has left makes room for the next connection under its name.
        for fileno, _ in sorted(self._watched.poll(0), key=lambda event: self._rank(event[0])):
            if fileno not in self._listeners:
                answered |= self._read_client(fileno, self._clients[fileno])
            elif not (self.one_by_one and self._is_starting()):
                self._accept(self._listeners[fileno])
                answered = True
            if answered and self.one_by_one:
                break
        return answered

    def is_stirred(self) -> bool:
        """Whether a client has sent something that was not read, or wants to come in."""
        return bool(self._watched.poll(0))

    def _rank(self, fileno: int) -> tuple[bool, bool]:
        """Lines are read first, then other clients; new clients come in last."""
        return (not self._is_in(fileno), fileno in self._listeners)

    def _is_starting(self) -> bool:
        """Whether a connection is in the middle of its start-up."""
        return any(line.state is LineState.STARTING for line in self._lines.values())

    def _is_in(self, fileno: int) -> bool:
        """Whether this is the socket of a client that has a line."""
        line = self._clients.get(fileno)
        return line is not None and self._lines.get(line.name) is line

    def _read_client(self, fileno: int, line: Line) -> bool:
        """Read from one client. Return whether it was told anything, may have more to send, or is gone."""
        try:
            data = line.client.recv(CHUNK)
        except OSError:
            data = b""
        if data and self._take_in(line, data):
            moves = bool(line.session.to_client) or len(data) >= FULL_BYTES
            line.flush_client()
            return moves
        self._forget(fileno)
        self.left.setdefault(line.name, []).extend(line.take_ran())
        self._end(line)
        return True

    def _forget(self, fileno: int) -> None:
        """Stop watching a client's socket."""
        if self._clients.pop(fileno, None) is not None:
            self._watched.unregister(fileno)

    def _take_in(self, line: Line, data: bytes) -> bool:
        """Give a line the bytes that its client sent. Return whether the client is still there."""
        session = line.session
        try:
            session.client_bytes(data)
            self._check_name(line)
        except WireError as error:
            self._errors.append(error)
            session.to_client += error_response("08P01", str(error))
            line.flush_client()
            return False
        if session.cancel is not None:
            self._cancel(session.cancel)
            return False
        if session.state is LineState.STARTING and session.to_server:
            self._lines[line.name] = line
        line.flush_server()
        return not session.terminated

    def _check_name(self, line: Line) -> None:
        """Raise WireError if a connection starts while its client has another one open: one line for each name."""
        other = self._lines.get(line.name, line)
        if other is not line and other.state is not LineState.CLOSED and line.session.to_server:
            message = (
                f"connection {line.name}: a second connection of this client came to the gate while its first is open; "
                "expected one for each client, since its steps are told by its name. Close the first, or use it"
            )
            raise WireError(message)

    def _cancel(self, request: bytes) -> None:
        """Pass a cancel request on; the server has acted on it when it closes the connection, so wait for that."""
        with contextlib.suppress(OSError), self._connect() as server:
            server.settimeout(GUARD_SECONDS)
            server.sendall(request)
            server.recv(1)
        for line in self._lines.values():
            if line.state is LineState.RUNNING and line.session.key == request[8:]:
                line.cancelled = True


def _refuse(client: socket.socket, code: str, text: str) -> None:
    """Tell a client that it cannot come in."""
    with client, contextlib.suppress(OSError):
        client.send(error_response(code, text))


_NO_ANSWER = "connection {name}: the server does not answer: {error}; expected it to take connections. Its log says why"
_TOO_MANY = (
    "connection {name}: a further connection beside the {most} that are open; expected no more than that. Say how "
    "many the program needs: worker.max_connections"
)
