"""Subscribers of log streams, in one process, over real HTTP; some reconnect, some stop reading for a while.

At its end each writes a record of its lines (sequence and digest). `pgqmodel.promises.received` compares them with the
committed lines; nothing is judged here.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import trio
from attrs import define, field, frozen

from pgqmodel.errors import NoVerdictError
from pgqmodel.simulation.measures import Measures, write_measures

__all__ = ["ReceivedStream", "SubscriberOptions", "digest", "run_subscribers"]

STAMP = re.compile(r"@(\d+\.\d+)")
"""The stamp in a line that tells the time of writing: seconds since the epoch."""
_EVENT = re.compile(rb"id: (?P<sequence>\d+)\ndata: (?P<line>[^\n]+)")
"""A line as an event; a JSON text is always one `data` field."""
_ASIDE = re.compile(rb": |retry: |event: end\n")
EVENTS_MAX_SECONDS = 120.0


@frozen(kw_only=True)
class SubscriberOptions:
    """One subscriber: it reconnects after every `hang_up_every` lines, and pauses after `pause_after` lines."""

    name: str
    job: str
    hang_up_every: int | None = None
    pause_after: int | None = None
    pause_seconds: float = 0.0


@define
class ReceivedStream:
    """The record of one subscriber."""

    options: SubscriberOptions
    received: list[tuple[int, str]] = field(factory=list)
    connections: int = 0
    ended: bool = False


def digest(line: str | bytes) -> str:
    """A short digest of a line."""
    raw = line.encode() if isinstance(line, str) else line
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


def run_subscribers(url: str, wanted: Sequence[SubscriberOptions], seed: int, folder: Path) -> None:
    """The main function of the process: subscribe, read all streams to their ends, write the records."""
    measures = Measures()
    subscribers = [ReceivedStream(options) for options in wanted]
    trio.run(_follow_all, url, subscribers, measures, random.Random(seed))  # noqa: S311 - jitter
    with (folder / "received.jsonl").open("w", encoding="utf-8") as file:
        for subscriber in subscribers:
            options = subscriber.options
            record = {
                "subscriber": options.name,
                "job": options.job,
                "connections": subscriber.connections,
                "ended": subscriber.ended,
                "received": subscriber.received,
            }
            file.write(json.dumps(record) + "\n")
    write_measures(folder / "subscribers.json", measures)


async def _follow_all(
    url: str, subscribers: Sequence[ReceivedStream], measures: Measures, chance: random.Random
) -> None:
    limits = httpx.Limits(max_connections=len(subscribers), max_keepalive_connections=0)
    async with (
        httpx.AsyncClient(limits=limits, timeout=EVENTS_MAX_SECONDS, base_url=url) as client,
        trio.open_nursery() as nursery,
    ):
        for subscriber in subscribers:
            nursery.start_soon(_follow, client, subscriber, measures, chance.random())


async def _follow(client: httpx.AsyncClient, subscriber: ReceivedStream, measures: Measures, jitter: float) -> None:
    """Run one subscriber, over as many connections as it takes."""
    while not subscriber.ended:
        subscriber.connections += 1
        last = subscriber.received[-1][0] if subscriber.received else None
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(last)} if last is not None else {})
        try:
            async with client.stream(
                "GET", f"/jobs/{subscriber.options.job}/logs?format=json", headers=headers
            ) as response:
                response.raise_for_status()
                await _read(response, subscriber, measures)
        except httpx.TransportError:
            measures.count("subscriber_reconnects_forced")
            await trio.sleep(0.05 + 0.1 * jitter)


async def _read(response: httpx.Response, subscriber: ReceivedStream, measures: Measures) -> None:
    """Read one connection until the stream ends, or until it is time to hang up."""
    options, left = subscriber.options, b""
    first = len(subscriber.received)
    async for chunk in response.aiter_raw():
        *whole, left = (left + chunk).split(b"\n\n")
        before = len(subscriber.received)
        oldest = _take_in(whole, subscriber)
        measures.count("lines_received", len(subscriber.received) - before)
        if oldest is not None and options.pause_after is None:
            _measure(oldest, measures)
        if subscriber.ended:
            return
        if options.pause_after is not None and before < options.pause_after <= len(subscriber.received):
            measures.count("pauses")
            await trio.sleep(options.pause_seconds)
        if options.hang_up_every is not None and len(subscriber.received) - first >= options.hang_up_every:
            measures.count("subscriber_reconnects")
            return


def _take_in(events: Sequence[bytes], subscriber: ReceivedStream) -> str | None:
    """Take in the events of one piece. Return its first line, or None if it has none.

    A hundred subscribers share this process, so for speed all lines of a piece are parsed as one JSON text.
    """
    found = [_EVENT.fullmatch(event) for event in events]
    lines = json.loads(b"[%s]" % b",".join([match["line"] for match in found if match is not None]))
    sequences = [int(match["sequence"]) for match in found if match is not None]
    subscriber.received += zip(sequences, map(digest, lines), strict=True)
    for match, event in zip(found, events, strict=True):
        if match is None and not _ASIDE.match(event):
            message = f"a log stream has sent {event[:200]!r}; expected a line, a comment or an end. That is a defect"
            raise NoVerdictError(message)
        subscriber.ended = subscriber.ended or event.startswith(b"event: end\n")
    return lines[0] if lines else None


def _measure(line: str, measures: Measures) -> None:
    """Record the age of a line at its arrival; of a piece only the first line is measured, which has waited longest."""
    stamp = STAMP.search(line)
    if stamp is not None:
        now = time.time()
        measures.record("log_latency", now - float(stamp[1]), at=now)
