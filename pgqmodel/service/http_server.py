"""The service as a process: Hypercorn's HTTP/1.1 on Trio, started, guarded and ended by us.

Hypercorn shields its sending from cancellation, so a peer that does not read could hold a connection, and the shutdown,
for ever. Therefore every connection is wrapped: it is broken if a send takes too long, and at the end of the service if
it is stuck. If the peer has left, its connection ends soon; Hypercorn alone would keep it as long as an idle one.
"""

from __future__ import annotations

import logging
import resource
import signal
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import hypercorn.protocol
import psycopg
import trio
from attrs import frozen
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from pgqmodel.client.pool import Pool, UnavailableError
from pgqmodel.client.recorder import Recorder
from pgqmodel.errors import UsageError
from pgqmodel.service.hub import Hub
from pgqmodel.service.log_stream import Pace
from pgqmodel.service.memory import Room, trim_when_idle
from pgqmodel.service.service import BODIES_BYTES_MAX, Service, application

__all__ = ["ServeOptions", "serve"]

NAME = "service"
BACKLOG = 1_024
GRACE_SECONDS = 3.0
SEND_BUFFER_BYTES = 128 * 1024
HEADER_BYTES_MAX = 16 * 1024
RECEIVE_BYTES_MAX = 16 * 1024
"""The bytes of one read: a peer can make us keep so much beyond the request that is handled."""
BODY_PIECES_MAX = 2
"""The pieces of a body that may wait for a request that does not read them."""
REQUESTS_MAX = 10_000
_TABLES = ("job_queue", "pipeline_runs", "job_logs", "webhook_deliveries")
_MISSING = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL"
_log = logging.getLogger("pgqmodel.serve")


@frozen(kw_only=True)
class ServeOptions:
    """The options of the service: its address, its database, and the limits."""

    conninfo: str
    secret: bytes
    channel: str = "job_logs"
    host: str = "127.0.0.1"
    port: int = 0
    database_connections: int = 8
    """The connections for requests; the streams have half as many, and one more listens."""
    connections_max: int = 2_048
    body_bytes_max: int = 1024 * 1024
    body_seconds_max: float = 10.0
    idle_seconds: float = 60.0
    stuck_seconds: float = 30.0
    keep_alive_seconds: float = 15.0
    history: Path | None = None
    """The file in which created runs are recorded."""


async def serve(options: ServeOptions, announce: Callable[[str], object]) -> None:
    """Serve until SIGTERM or SIGINT; `announce` gets the URL once requests are accepted. UsageError if that fails."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        _raise_file_limit()
        pool = Pool(options.conninfo, size=options.database_connections)
        await _check_schema(pool)
        listeners = await _listen(options)
        lines = Pool(options.conninfo, size=max(2, options.database_connections // 2))
        hub = Hub(options.conninfo, options.channel, lines)
        service = Service(
            secret=options.secret,
            pool=pool,
            hub=hub,
            closing=trio.Event(),
            pace=Pace(keep_alive_seconds=options.keep_alive_seconds),
            body_bytes_max=options.body_bytes_max,
            room=Room(max(BODIES_BYTES_MAX, 2 * options.body_bytes_max)),
            body_seconds_max=options.body_seconds_max,
            recorder=Recorder(options.history, NAME, NAME) if options.history is not None else None,
        )
        front = _Front(options, service)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.run)
            nursery.start_soon(_end_on_signal, signals, service.closing)
            nursery.start_soon(trim_when_idle, lambda: front.closed)
            await hub.wait_listening()
            host, port = listeners[0].socket.getsockname()[:2]
            announce(f"http://{f'[{host}]' if ':' in host else host}:{port}")
            await front.run(listeners)
            nursery.cancel_scope.cancel()
        for each in (pool, lines):
            each.close()


async def _end_on_signal(signals: Any, closing: trio.Event) -> None:
    async for _ in signals:
        closing.set()


def _raise_file_limit() -> None:
    """Raise the limit of open files: each connection is one, and the usual 1,024 are too few for a thousand readers."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _check_schema(pool: Pool) -> None:
    try:
        missing = [row[0] for row in await pool.query(_MISSING, [list(_TABLES)])]
    except UnavailableError as error:
        message = (
            f"the database of --pg cannot be reached: {error}; expected a running Postgres with the reference queue in "
            "it. Start it, or correct --pg"
        )
        raise UsageError(message) from error
    except psycopg.ProgrammingError as error:
        # Without libpq's message, which quotes the text that it cannot parse: it may be a part of a password.
        message = "--pg is not a connection string; expected a postgresql:// URL or key=value pairs. Correct it"
        raise UsageError(message) from error
    if missing:
        message = (
            f"the database of --pg has no {', '.join(missing)}; expected the reference queue's schema "
            "(pgqmodel/reference/schema.sql). Set it up there, or name the right database"
        )
        raise UsageError(message)


async def _listen(options: ServeOptions) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(options.port, host=options.host, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        message = (
            f"--host {options.host} --port {options.port} cannot be served on: {reason}; expected a free port of an "
            "address of this machine. Give another one, or --port 0 for any"
        )
        raise UsageError(message) from error


class _Http1(H11Protocol):
    """Hypercorn's HTTP/1.1 without a change to another protocol (docs/decisions/0013)."""

    async def _check_protocol(self, event: object) -> None:
        """Do nothing: neither the preface of HTTP/2 nor an upgrade to it changes the protocol."""


# Hypercorn has no setting for this, but it looks this name up for each connection.
hypercorn.protocol.H11Protocol = _Http1  # type: ignore[attr-defined]


class _Guarded:
    """A connection with a limit for every wait for its peer. It has the methods that Hypercorn needs of a stream."""

    def __init__(self, stream: trio.SocketStream, patience_seconds: float) -> None:
        self._stream = stream
        self._patience_seconds = patience_seconds
        self._sending = trio.CancelScope()
        self._turn = trio.Lock()
        self.scope = trio.CancelScope()
        """The scope of all work for this connection."""
        self.socket = stream.socket
        self.send_eof = stream.send_eof
        self.aclose = stream.aclose

    async def receive_some(self, _bytes_max: int) -> bytes:
        """Read a piece. When the peer has ended its side, the connection ends soon."""
        data = b""
        try:
            data = bytes(await self._stream.receive_some(RECEIVE_BYTES_MAX))
        finally:
            if not data:
                self.scope.deadline = trio.current_time() + GRACE_SECONDS
        return data

    async def send_all(self, data: bytes) -> None:
        """Send all, or break the connection."""
        await self._patiently(partial(self._stream.send_all, data))

    async def wait_writable(self) -> None:
        """Wait until the system has room for more, or break the connection, so that no bytes pile up here."""
        await self._patiently(partial(trio.lowlevel.wait_writable, self.socket))

    async def _patiently(self, send: Callable[[], Awaitable[object]]) -> None:
        async with self._turn:
            with trio.move_on_after(self._patience_seconds) as self._sending:
                await send()
                return
        await trio.aclose_forcefully(self._stream)
        message = "the peer took nothing for too long"
        raise trio.BrokenResourceError(message)

    def give_up(self) -> None:
        """From now on, do not wait for the peer to read."""
        self._patience_seconds = 0
        self._sending.cancel()


class _Front:
    """The connections of the service, from accepting to their end."""

    def __init__(self, options: ServeOptions, service: Service) -> None:
        self._options = options
        self._closing = service.closing
        self._app = ASGIWrapper(cast("Any", application(service)))
        self._context = WorkerContext(None)
        self._open: set[_Guarded] = set()
        self.closed = 0
        """The number of connections that have ended."""
        self._config = Config()
        self._config.loglevel = "WARNING"
        self._config.h11_max_incomplete_size = HEADER_BYTES_MAX
        self._config.keep_alive_timeout = options.idle_seconds
        self._config.keep_alive_max_requests = REQUESTS_MAX
        self._config.max_app_queue_size = BODY_PIECES_MAX
        self._config.include_server_header = False

    async def run(self, listeners: list[trio.SocketListener]) -> None:
        """Accept connections until the service closes; then let requests end for a while, then end them."""
        async with trio.open_nursery() as ending:
            async with trio.open_nursery() as connections:
                ending.start_soon(self._end_late, connections.cancel_scope)
                async with trio.open_nursery() as accepting:
                    take = partial(trio.serve_listeners, self._handle, listeners, handler_nursery=connections)
                    accepting.start_soon(take)
                    await self._closing.wait()
                    accepting.cancel_scope.cancel()
                await self._context.terminated.set()
            ending.cancel_scope.cancel()

    async def _end_late(self, connections: trio.CancelScope) -> None:
        """End the requests that still run some time after the service closed, such as those of stuck peers."""
        await self._closing.wait()
        await trio.sleep(GRACE_SECONDS)
        connections.cancel()
        for guarded in tuple(self._open):
            guarded.give_up()

    async def _handle(self, stream: trio.SocketStream) -> None:
        """Serve one connection; an error in it ends only this connection."""
        if len(self._open) >= self._options.connections_max:
            await trio.aclose_forcefully(stream)
            return
        guarded = _Guarded(stream, self._options.stuck_seconds)
        self._open.add(guarded)
        try:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            state = ConnectionState(cast("Any", {"wait_writable": guarded.wait_writable}))
            server = TCPServer(self._app, self._config, self._context, state, cast("Any", guarded))
            with guarded.scope:
                await server.run()
        except* Exception:  # noqa: BLE001 - one connection, whatever it met, ends no other
            _log.exception("a connection ended in an error")
        finally:
            self._open.discard(guarded)
            self.closed += 1
