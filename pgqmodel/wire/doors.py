"""The doors of the gate: the sockets where clients come in, and the reading of what they send.

Every client has a door of its own, and the door gives its connection a name. A connection becomes a line of the gate
when its client has begun the start-up. A second connection under the name of an open line is refused: steps name
their client, so with two lines of one name a step would not say which of them goes on.
"""

from __future__ import annotations

import contextlib
import select
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from pgqmodel.errors import WireError
from pgqmodel.wire.line import CHUNK, Line
from pgqmodel.wire.messages import error_response
from pgqmodel.wire.units import LineState

__all__ = ["GUARD_SECONDS", "Address", "Doors"]

GUARD_SECONDS = 15.0
FULL_BYTES = 1 << 13
"""A client that has sent so much at once may be waiting for room to send the rest."""
Address = str | tuple[str, int]


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
        self._hosts: dict[str, str] = {}
        self._listeners: dict[int, tuple[str, socket.socket]] = {}
        self._clients: dict[int, Line] = {}
        self._watched = select.poll()

    def close(self) -> None:
        """Close the listeners and remove their directory."""
        for _, listener in self._listeners.values():
            listener.close()
        self._directory.cleanup()

    def forget_closed(self) -> None:
        """Stop watching the sockets of clients when their lines are closed."""
        for fileno, line in list(self._clients.items()):
            if line.state is LineState.CLOSED:
                self._forget(fileno)

    def listen(self, name: str) -> str:
        """Open a socket for this client alone, and return its directory, to be used as `host`."""
        if name not in self._hosts:
            door = Path(self._directory.name) / name
            door.mkdir()
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(door / ".s.PGSQL.5432"))
            self._serve(name, listener)
            self._hosts[name] = str(door)
        return self._hosts[name]

    def listen_tcp(self, name: str) -> int:
        """Open a port on the loopback interface, for a client that cannot use a Unix socket."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
        self._serve(name, listener)
        port: int = listener.getsockname()[1]
        return port

    def _serve(self, name: str, listener: socket.socket) -> None:
        listener.listen()
        listener.setblocking(False)
        self._listeners[listener.fileno()] = (name, listener)
        self._watched.register(listener, select.POLLIN)

    def _accept(self, name: str, listener: socket.socket) -> None:
        client, _ = listener.accept()
        client.setblocking(False)
        try:
            server = self._connect()
        except OSError as error:
            _refuse(name, client, error)
            return
        self._clients[client.fileno()] = Line(name, client, server, split_commits=self._split_commits)
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
        for fileno, _ in sorted(self._watched.poll(0), key=lambda event: not self._is_in(event[0])):
            if fileno in self._listeners:
                self._accept(*self._listeners[fileno])
                answered = True
            else:
                answered |= self._read_client(fileno, self._clients[fileno])
        return answered

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


def _refuse(name: str, client: socket.socket, error: OSError) -> None:
    """Tell a client that there is no server behind the gate."""
    text = f"connection {name}: the server does not answer: {error}; expected it to take connections. Its log says why"
    with client, contextlib.suppress(OSError):
        client.send(error_response("08006", text))
