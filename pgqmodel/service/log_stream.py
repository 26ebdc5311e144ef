"""A job's log as server-sent events: from the table if the reader is behind, else from the hub's buffer.

A peer that does not read blocks no other reader: its buffer is bounded, and after an overflow it reads from the table.
The server's connection guard (http_server.py) drops a peer that stays stuck; it can resume with Last-Event-ID.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial

import trio
from attrs import frozen
from starlette.types import Receive, Scope, Send

from pgqmodel.client.pool import UnavailableError
from pgqmodel.service.hub import FORMATS, Hub, Subscriber
from pgqmodel.service.webhooks import Refusal

__all__ = ["LogStream", "Pace", "read_format", "read_last"]

RETRY_MS = 500
READ_LINES_MAX = 1_000
READ_BYTES_MAX = 64 * 1024
SEQUENCE_MAX = 2**63 - 1
SEND_SECONDS_MAX = 120.0
"""A limit for another application server; our own connection guard gives up long before."""
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_READ = f"""
SELECT sequence, line, found
FROM (
    SELECT sequence, line, count(*) OVER () AS found,
           sum(octet_length(line)::bigint) OVER (ORDER BY sequence) - octet_length(line) AS before
    FROM (
        SELECT sequence, line FROM job_logs WHERE job = $1 AND sequence > $2 ORDER BY sequence LIMIT {READ_LINES_MAX}
    ) AS next
) AS measured
WHERE before < {READ_BYTES_MAX}
ORDER BY sequence
"""
"""The next lines, limited in number and bytes, but at least one if there is any; `found` tells whether more exist."""


@frozen(kw_only=True)
class Pace:
    """The pace of streams: the silence before a comment is sent, and the time for gathering lines into a piece.

    A piece costs the same with few or many lines, so the whole process sends a limited number of pieces a second: with
    more readers, each piece is gathered for longer. The first line after a pause is sent at once.
    """

    keep_alive_seconds: float = 15.0
    gather_seconds_min: float = 0.02
    pieces_per_second_max: float = 2_000.0

    def gather_seconds(self, readers: int) -> float:
        """The time for which each of so many readers gathers lines."""
        return max(self.gather_seconds_min, readers / self.pieces_per_second_max)


def read_last(given: list[str]) -> int:
    """The last sequence that a reader has, from Last-Event-ID; 0 if it has none."""
    if not given:
        return 0
    if len(given) == 1 and re.fullmatch(r"[0-9]{1,19}", given[0]) and int(given[0]) <= SEQUENCE_MAX:
        return int(given[0])
    found = "a Last-Event-ID that is no sequence" if len(given) == 1 else f"{len(given)} of Last-Event-ID"
    raise Refusal(400, found, "the id of an event of this stream", "Leave it out to read from the first line")


def read_format(given: list[str]) -> str:
    """The function that renders lines: as plain text, or as JSON texts."""
    if not given:
        return "text"
    if len(given) == 1 and given[0] in FORMATS:
        return given[0]
    raise Refusal(400, "an unknown format", f"format={' or format='.join(FORMATS)}", "Leave it out for plain text")


class LogStream:
    """The answer to one reader; an ASGI application."""

    def __init__(self, hub: Hub, subscriber: Subscriber, pace: Pace, closing: trio.Event) -> None:
        self._hub = hub
        self._subscriber = subscriber
        self._pace = pace
        self._closing = closing
        self._wait_writable: Callable[[], Awaitable[None]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the job has ended, the reader leaves, or the service closes."""
        self._wait_writable = scope.get("state", {}).get("wait_writable", trio.lowlevel.checkpoint)
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if scope["method"] != "HEAD":
            self._hub.subscribe(self._subscriber)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_cancel_after, partial(_wait_disconnect, receive), nursery.cancel_scope)
                    nursery.start_soon(_cancel_after, self._closing.wait, nursery.cancel_scope)
                    await self._stream(send)
                    nursery.cancel_scope.cancel()
            finally:
                self._hub.unsubscribe(self._subscriber)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(self, send: Send) -> None:
        """Send lines, gathered into pieces, until the last line of an ended job."""
        await _send(send, b"retry: %d\n\n" % RETRY_MS)
        while True:
            sent_at = trio.current_time()
            if not await self._subscriber.wait(self._pace.keep_alive_seconds):
                await _send(send, b": still here\n\n")
                continue
            await self._wait_writable()
            if self._subscriber.behind:
                if await self._read_table(send):
                    return
            else:
                await _send(send, self._subscriber.take())
            await trio.sleep_until(sent_at + self._pace.gather_seconds(self._hub.count))

    async def _read_table(self, send: Send) -> bool:
        """Send the next lines from the table. Return whether they were the last lines of an ended job."""
        subscriber = self._subscriber
        # In this order: a line that is committed after the read's snapshot is buffered, and whether the job had ended
        # was seen before it, so that the read shows all of an ended job's lines.
        ended = subscriber.ended
        subscriber.catch_up()
        try:
            rows = await self._hub.pool.query(_READ, [subscriber.job, subscriber.last])
        except UnavailableError:
            subscriber.fall_behind()
            await _send(send, b": waiting for the database\n\n")
            await trio.sleep(1)
            return False
        for sequence, _line, _found in rows:
            subscriber.read(sequence)
        more = bool(rows) and (rows[0][2] > len(rows) or rows[0][2] == READ_LINES_MAX)
        if more:
            subscriber.fall_behind()
        await _send(send, b"".join(subscriber.render(sequence, line) for sequence, line, _found in rows))
        if ended is None or more:
            return False
        await _send(send, f"event: end\ndata: {ended}\n\n".encode())
        return True


async def _send(send: Send, body: bytes) -> None:
    """Send a piece whole, even if cancelled: half a chunk would spoil the answer of a stream that ends."""
    if not body:
        return
    with trio.move_on_after(SEND_SECONDS_MAX, shield=True):
        await send({"type": "http.response.body", "body": body, "more_body": True})
        return
    message = "the reader took nothing for too long"
    raise trio.BrokenResourceError(message)


async def _wait_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        """A reader's body, if it sends one, is read and dropped."""


async def _cancel_after(condition: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
    await condition()
    scope.cancel()
