"""Subscribers of log streams, in a process of their own: over real HTTP, some reconnecting, some that stop reading.

What each received is written down line by line (its sequence and a digest) when it ends; held against what was
committed by `pgqmodel.promises.received`. Nothing here judges.
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

__all__ = ["Subscriber", "SubscriberOptions", "digest", "run_subscribers"]

STAMP = re.compile(r"@(\d+\.\d+)")
"""A line that says when it was written bears this stamp: seconds since the epoch."""
_EVENT = re.compile(rb"id: (?P<sequence>\d+)\ndata: (?P<line>[^\n]+)")
"""A line as an event: in JSON it is one `data`."""
_ASIDE = re.compile(rb": |retry: |event: end\n")
EVENTS_MAX_SECONDS = 120.0


@frozen(kw_only=True)
class SubscriberOptions:
    """One subscriber: connects again every `hang_up_every` lines, and after `pause_after` reads nothing for a while."""

    name: str
    job: str
    hang_up_every: int | None = None
    pause_after: int | None = None
    pause_seconds: float = 0.0


@define
class Subscriber:
    """What one subscriber has received."""

    options: SubscriberOptions
    received: list[tuple[int, str]] = field(factory=list)
    connections: int = 0
    ended: bool = False


def digest(line: str | bytes) -> str:
    """What stands for a line: short, and different for different lines."""
    raw = line.encode() if isinstance(line, str) else line
    return hashlib.blake2b(raw, digest_size=8).hexdigest()


def run_subscribers(url: str, wanted: Sequence[SubscriberOptions], seed: int, folder: Path) -> None:
    """The life of the process: subscribe, read to the ends, write down what came."""
    measures = Measures()
    subscribers = [Subscriber(options) for options in wanted]
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


async def _follow_all(url: str, subscribers: Sequence[Subscriber], measures: Measures, chance: random.Random) -> None:
    limits = httpx.Limits(max_connections=len(subscribers), max_keepalive_connections=0)
    async with (
        httpx.AsyncClient(limits=limits, timeout=EVENTS_MAX_SECONDS, base_url=url) as client,
        trio.open_nursery() as nursery,
    ):
        for subscriber in subscribers:
            nursery.start_soon(_follow, client, subscriber, measures, chance.random())


async def _follow(client: httpx.AsyncClient, subscriber: Subscriber, measures: Measures, jitter: float) -> None:
    """One subscriber, over as many connections as it takes."""
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


async def _read(response: httpx.Response, subscriber: Subscriber, measures: Measures) -> None:
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


def _take_in(events: Sequence[bytes], subscriber: Subscriber) -> str | None:
    """Take in what came at once; the first line of it, if there was one.

    A hundred subscribers share this process, so all lines of a piece are parsed as one JSON text.
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
    """How old a line is when it comes: of those that come at once, the oldest, which has waited longest."""
    stamp = STAMP.search(line)
    if stamp is not None:
        now = time.time()
        measures.record("log_latency", now - float(stamp[1]), at=now)
