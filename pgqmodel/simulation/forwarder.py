"""Connections that can be cut: a forwarder between clients and the server, with one door for each client.

A cut closes both sockets of a connection at once and loses the bytes in between. Neither side gets a message, so the
client cannot know whether the server ran its statement. The bytes are not read here.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
from pathlib import Path
from typing import Self

import trio
from attrs import define, field

__all__ = ["Forwarder"]

CHUNK = 1 << 16
Address = str | tuple[str, int]


@define
class Forwarder:
    """Doors to one server; an async context manager that closes them all."""

    server: Address
    directory: Path
    """The directory for the doors."""
    _nursery: trio.Nursery = field(init=False)
    _folder: tempfile.TemporaryDirectory[str] = field(init=False)
    _pairs: dict[str, list[tuple[trio.SocketStream, trio.SocketStream]]] = field(init=False, factory=dict)
    _manager: contextlib.AbstractAsyncContextManager[trio.Nursery] = field(init=False)

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="doors-", dir=self.directory)
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(None, None, None)
        self._folder.cleanup()

    def door(self, name: str) -> str:
        """The directory of a socket for one client, to be used as `host`."""
        folder = Path(self._folder.name) / name
        if folder.exists():
            return str(folder)
        folder.mkdir()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(folder / ".s.PGSQL.5432"))
        listener.listen()
        self._nursery.start_soon(self._serve, name, trio.SocketListener(trio.socket.from_stdlib_socket(listener)))
        return str(folder)

    async def _serve(self, name: str, listener: trio.SocketListener) -> None:
        async with listener:
            while True:
                client = await listener.accept()
                self._nursery.start_soon(self._forward, name, client)

    async def _forward(self, name: str, client: trio.SocketStream) -> None:
        """Forward one connection, until either side ends it or it is cut."""
        async with client:
            try:
                server = await self._connect()
            except OSError:
                return
            pair = (client, server)
            pairs = self._pairs.setdefault(name, [])
            pairs.append(pair)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_pump, client, server, nursery.cancel_scope)
                    nursery.start_soon(_pump, server, client, nursery.cancel_scope)
            finally:  # also when all doors are closed
                _close(pair)
                if pair in pairs:
                    pairs.remove(pair)

    async def _connect(self) -> trio.SocketStream:
        if isinstance(self.server, str):
            return await trio.open_unix_socket(self.server)
        return await trio.open_tcp_stream(*self.server)

    def cut(self, name: str) -> int:
        """Cut all connections of a client at once. Return their number."""
        pairs = self._pairs.pop(name, [])
        for pair in pairs:
            _close(pair)
        return len(pairs)


async def _pump(source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope) -> None:
    """Pass bytes on until one side is gone."""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while data := await source.receive_some(CHUNK):
            await sink.send_all(data)
    scope.cancel()


def _close(pair: tuple[trio.SocketStream, trio.SocketStream]) -> None:
    """Close both sockets at once, without a message."""
    for stream in pair:
        stream.socket.close()
