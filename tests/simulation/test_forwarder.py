"""The forwarder: bytes pass both ways as they are, and a cut ends both sides at once, for one client only."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio
import trio.testing

from pgqmodel.simulation.forwarder import CHUNK, Forwarder

PATIENCE_SECONDS = 30.0


class Backend:
    """A server that echoes what it gets, and lists how its connections ended; its clients are closed with it."""

    def __init__(self) -> None:
        self.clients = AsyncExitStack()
        self.ended: list[str] = []
        self.changed = trio.Condition()

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection."""
        how = "closed"
        try:
            while data := await stream.receive_some(CHUNK):
                await stream.send_all(data)
        except trio.BrokenResourceError:
            how = "broken"
        async with self.changed:
            self.ended.append(how)
            self.changed.notify_all()

    async def wait_ended(self, number: int) -> None:
        """Wait until so many connections have ended."""
        async with self.changed:
            while len(self.ended) < number:
                await self.changed.wait()


@asynccontextmanager
async def forwarding(path: Path) -> AsyncIterator[tuple[Forwarder, Backend]]:
    """A forwarder in front of a server."""
    backend = Backend()
    opened = socket.socket(socket.AF_UNIX)
    opened.bind(str(path / "server"))
    opened.listen()
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(opened))
    with trio.fail_after(PATIENCE_SECONDS):
        async with listener, trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, backend.serve, [listener])
            async with Forwarder(str(path / "server"), path) as forwarder, AsyncExitStack() as backend.clients:
                yield forwarder, backend
            nursery.cancel_scope.cancel()


def tell(path: Path, story: Callable[[Forwarder, Backend], Awaitable[None]]) -> None:
    """Run a story with a forwarder and a server."""

    async def main() -> None:
        async with forwarding(path) as (forwarder, backend):
            await story(forwarder, backend)

    trio.run(main)


async def connect(forwarder: Forwarder, backend: Backend, name: str) -> trio.SocketStream:
    """A client at its door."""
    return await backend.clients.enter_async_context(
        await trio.open_unix_socket(f"{forwarder.door(name)}/.s.PGSQL.5432")
    )


async def echo(stream: trio.SocketStream, data: bytes) -> bytes:
    """Send, and receive as much."""
    received = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, data)
        while len(received) < len(data):
            more = await stream.receive_some(CHUNK)
            assert more, "the connection ended before everything was back"
            received += more
    return received


async def is_over(stream: trio.SocketStream) -> bool:
    """Whether a client's connection has ended, with or without an error; waits until something comes."""
    try:
        return await stream.receive_some(CHUNK) == b""
    except trio.BrokenResourceError:
        return True


def test_what_passes_is_not_changed(tmp_path: Path) -> None:
    """Any bytes come through in both directions, many at a time and more than any buffer holds, client by client."""
    data = random.Random(1).randbytes(20 * CHUNK + 1)

    async def story(forwarder: Forwarder, backend: Backend) -> None:
        one, other = await connect(forwarder, backend, "w1"), await connect(forwarder, backend, "w2")
        assert await echo(one, b"\0") == b"\0"
        assert await echo(other, data) == data
        assert await echo(one, data[::-1]) == data[::-1]
        await one.aclose()
        await other.aclose()
        await backend.wait_ended(2)

    tell(tmp_path, story)


def test_a_cut_ends_both_sides_of_one_client(tmp_path: Path) -> None:
    """All connections of a client end, on both sides; those of others do not; the door stays open for the next."""

    async def story(forwarder: Forwarder, backend: Backend) -> None:
        cut = [await connect(forwarder, backend, "w1") for _ in range(3)]
        kept = await connect(forwarder, backend, "w2")
        for stream in (*cut, kept):
            await echo(stream, b"here")
        assert forwarder.cut("w1") == 3
        for stream in cut:
            assert await is_over(stream)
        await backend.wait_ended(3)
        assert await echo(kept, b"still here") == b"still here"
        assert await echo(await connect(forwarder, backend, "w1"), b"again") == b"again"

    tell(tmp_path, story)


def test_a_cut_ends_what_cannot_be_sent(tmp_path: Path) -> None:
    """A client that reads nothing, with more on its way than buffers hold, is cut like any other."""

    async def story(forwarder: Forwarder, backend: Backend) -> None:
        stream = await connect(forwarder, backend, "w1")
        await echo(stream, b"here")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_for_ever, stream)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert forwarder.cut("w1") == 1
        await backend.wait_ended(1)

    tell(tmp_path, story)


async def _send_for_ever(stream: trio.SocketStream) -> None:
    """Send until the connection breaks."""
    try:
        while True:
            await stream.send_all(b"x" * CHUNK)
    except trio.BrokenResourceError:
        pass


def test_cutting_nobody_is_nothing(tmp_path: Path) -> None:
    """A client that never came, has gone, or was cut already has no connections to cut."""

    async def story(forwarder: Forwarder, backend: Backend) -> None:
        assert forwarder.cut("nobody") == 0
        stream = await connect(forwarder, backend, "w1")
        await echo(stream, b"here")
        assert (forwarder.cut("w1"), forwarder.cut("w1")) == (1, 0)
        await backend.wait_ended(1)
        gone = await connect(forwarder, backend, "w2")
        await echo(gone, b"here")
        await gone.aclose()
        await backend.wait_ended(2)

    tell(tmp_path, story)


def test_the_ends_of_either_side_are_passed_on(tmp_path: Path) -> None:
    """When the server is gone, its client sees an end; who comes while there is none is let in and sees one too."""

    async def story(forwarder: Forwarder, backend: Backend) -> None:
        (tmp_path / "server").rename(tmp_path / "elsewhere")
        assert await is_over(await connect(forwarder, backend, "w1"))
        (tmp_path / "elsewhere").rename(tmp_path / "server")
        assert await echo(await connect(forwarder, backend, "w1"), b"back") == b"back"

    tell(tmp_path, story)


def test_doors_are_gone_afterwards(tmp_path: Path) -> None:
    """One door a client, the same each time; none is left when the forwarder is closed."""
    doors: set[Path] = set()

    async def story(forwarder: Forwarder, backend: Backend) -> None:
        assert forwarder.door("w1") == forwarder.door("w1") != forwarder.door("w2")
        doors.update((Path(forwarder.door("w1")), Path(forwarder.door("w2"))))
        assert all(door.is_dir() for door in doors)
        await echo(await connect(forwarder, backend, "w1"), b"open until the end")

    tell(tmp_path, story)
    assert len(doors) == 2
    assert not any(door.exists() for door in doors)
