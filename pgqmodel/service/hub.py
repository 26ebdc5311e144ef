"""One LISTEN connection that feeds every log subscriber of a process.

A subscriber's buffer is only a shortcut: the table is the truth. If the buffer may miss lines (a line that did not fit
into a notification, a full buffer, a lost connection), the subscriber is marked as *behind* and reads the table from
its last sequence. So the hub never waits for a subscriber, and no line is lost.

Why a position in the sequence is enough, although identities are allocated before the commit: the statement that writes
a line first locks its job's row (`FOR NO KEY UPDATE`), then takes the sequence, and holds the lock until it commits. So
two writers of one job, a fenced one among them, go one after the other, and for one job the order of sequences is the
order of commits. A snapshot therefore shows a prefix of a job's lines, notifications come in the same order, and
no lower sequence appears after a higher one. For the same reason no line follows the statement that ends a job.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import trio

from pgqmodel.client.pool import Pool, UnavailableError
from pgqmodel.server.connection import TrioConnection

__all__ = ["FORMATS", "Hub", "Render", "Subscriber", "read_notification", "render_json", "render_text"]

BUFFER_BYTES_MAX = 64 * 1024
LOOK_SECONDS = 0.5
LOOKS_A_NET = 10
"""Every so many looks, missing lines are checked for. Rarely, because lines that are only on their way would be taken
for lost, and to read them twice would load a busy hub even more."""
CONNECT_SECONDS_MAX = 10.0
BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
_KEEPALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
_BREAK = re.compile(r"\r\n|\r|\n")
_quote = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make an encoder for each line
_LOOK = """
SELECT id, status, (SELECT max(sequence) FROM job_logs WHERE job = id) FROM job_queue WHERE id = ANY ($1::bigint[])
"""
GONE = "gone"
"""The state of a job whose row was deleted."""
FINAL = frozenset({"completed", "failed", "cancelled", GONE})

Render = Callable[[int, str], bytes]


def render_text(sequence: int, line: str) -> bytes:
    """A line as an event: one `data:` field for each line in it; the reader joins them with line feeds."""
    if "\n" in line or "\r" in line:
        line = "\ndata: ".join(_BREAK.split(line))
    return f"id: {sequence}\ndata: {line}\n\n".encode()


def render_json(sequence: int, line: str) -> bytes:
    """A line as an event whose data is a JSON text: exact, carriage returns too."""
    return f"id: {sequence}\ndata: {_quote(line)}\n\n".encode()


FORMATS: dict[str, Render] = {"text": render_text, "json": render_json}


def read_notification(payload: bytes) -> Iterator[tuple[int, int, str | None]]:
    """The (job, sequence, line) of each line in a notification; the line is None if it was too long for it.

    A payload in another form gives nothing, because any client of the database may notify.
    """
    try:
        told = json.loads(payload)
        job = int(told["job"])
        lines = told["lines"] if "lines" in told else [told.get("line")]
        sequences = told.get("sequence", told.get("first"))
        if isinstance(sequences, int):
            sequences = range(sequences, sequences + len(lines))
        return iter([(job, sequence, line) for sequence, line in zip(sequences, lines, strict=True)])
    except (ValueError, TypeError, KeyError, AttributeError):
        return iter(())


class Subscriber:
    """One reader of one job's lines: its buffer, and whether it must read the table."""

    def __init__(self, job: int, last: int, render: Render) -> None:
        self.job = job
        self.render = render
        self.last = last
        """The last sequence that was given to the reader."""
        self.behind = True
        self.ended: str | None = None
        self._seen = last
        self._told = last
        self._lines: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._woken = trio.Event()

    def push(self, sequence: int, event: bytes | None) -> None:
        """Buffer a line; if its text is missing or there is no room, the reader falls behind."""
        if self.behind:
            return
        if event is None or self._bytes + len(event) > BUFFER_BYTES_MAX:
            self.fall_behind()
            return
        self._seen = sequence
        self._lines.append((sequence, event))
        self._bytes += len(event)
        self._woken.set()

    def fall_behind(self) -> None:
        """Drop the buffer and mark the reader as behind: it will read the lines from the table."""
        self._lines.clear()
        self._bytes = 0
        self.behind = True
        self._woken.set()

    def catch_up(self) -> None:
        """Buffer lines again from now on. The reader reads the table after this call."""
        self._lines.clear()
        self._bytes = 0
        self.behind = False

    def read(self, sequence: int) -> None:
        """Note that the reader has read a line from the table."""
        self.last = sequence
        self._seen = max(self._seen, sequence)

    def take(self) -> bytes:
        """The buffered lines that the reader does not have yet, as one piece."""
        events = [event for sequence, event in self._lines if sequence > self.last]
        if self._lines:
            self.last = max(self.last, self._lines[-1][0])
        self._lines.clear()
        self._bytes = 0
        return b"".join(events)

    def look(self, status: str, latest: int | None) -> None:
        """Compare with the table: whether the job ended and, at some looks, whether lines came without notification."""
        if status in FINAL and self.ended is None:
            self.ended = status
            self.fall_behind()
        if latest is not None:
            if self._told > self._seen and not self.behind:
                self.fall_behind()
            self._told = max(self._told, latest)

    async def wait(self, seconds: float) -> bool:
        """Wait until there is something to do, for at most so long. Return whether there is."""
        with trio.move_on_after(seconds):
            if not (self.behind or self._lines):
                self._woken = trio.Event()
                await self._woken.wait()
        return bool(self.behind or self._lines)


class Hub:
    """The listening connection and its subscribers."""

    def __init__(self, conninfo: str, channel: str, pool: Pool) -> None:
        self._conninfo = conninfo
        self._channel = channel
        self.pool = pool
        """The connections for reading lines. Requests have others, so they need not wait while readers catch up."""
        self._topics: dict[int, dict[Render, set[Subscriber]]] = {}
        self.count = 0
        """The number of subscribers."""
        self.listening = False
        self._first = trio.Event()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Send lines to a subscriber from now on."""
        self._topics.setdefault(subscriber.job, {}).setdefault(subscriber.render, set()).add(subscriber)
        self.count += 1

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Stop sending lines to a subscriber."""
        topic = self._topics[subscriber.job]
        topic[subscriber.render].discard(subscriber)
        self.count -= 1
        if not any(topic.values()):
            del self._topics[subscriber.job]

    async def wait_listening(self) -> None:
        """Wait until the first connection listens."""
        await self._first.wait()

    @property
    def subscribers(self) -> list[Subscriber]:
        """All subscribers."""
        return [each for topic in self._topics.values() for group in topic.values() for each in group]

    async def run(self) -> None:
        """Listen for ever, connecting again with growing pauses, and look at the table now and then."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_for_ever)
            failures = 0
            while True:
                try:
                    await self._listen()
                except (psycopg.Error, trio.TooSlowError):
                    failures = 0 if self.listening else failures + 1
                    self.listening = False
                await trio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])

    async def _listen(self) -> None:
        """Listen on one connection until it breaks; then psycopg.Error is raised."""
        listen = psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(self._channel))
        with trio.fail_after(CONNECT_SECONDS_MAX):
            connection = await TrioConnection.connect(self._conninfo, application_name="pgqmodel-hub", **_KEEPALIVE)
        try:
            with trio.fail_after(CONNECT_SECONDS_MAX):
                await connection.execute(listen)
            self.listening = True
            self._first.set()
            # Lines from before this LISTEN are in the table, and no notification will come for them.
            for subscriber in self.subscribers:
                subscriber.fall_behind()
            # libpq directly, without psycopg's generator: at 15,000 notifications a second each layer counts.
            pgconn = connection.pgconn
            while True:
                while (notification := pgconn.notifies()) is not None:
                    self._publish(notification.extra)
                await trio.lowlevel.wait_readable(pgconn.socket)
                pgconn.consume_input()
        finally:
            connection.pgconn.finish()

    def _publish(self, payload: bytes) -> None:
        """Give a notification's lines to the readers of that job; each line is rendered once for each format."""
        for job, sequence, line in read_notification(payload):
            for render, group in self._topics.get(job, {}).items():
                event = None if line is None else render(sequence, line)
                for subscriber in group:
                    subscriber.push(sequence, event)

    async def _look_for_ever(self) -> None:
        """Look at the table at intervals: one statement for all jobs that are read."""
        for number in itertools.count(1):
            await trio.sleep(LOOK_SECONDS)
            jobs = list(self._topics)
            if jobs:
                await self._look(jobs, net=number % LOOKS_A_NET == 0)

    async def _look(self, jobs: list[int], *, net: bool) -> None:
        try:
            rows: list[tuple[Any, ...]] = await self.pool.query(_LOOK, [jobs])
        except UnavailableError:
            return
        found = {job: (status, latest or 0) for job, status, latest in rows}
        for job in jobs:
            status, latest = found.get(job, (GONE, 0))
            for group in self._topics.get(job, {}).values():
                for subscriber in group:
                    subscriber.look(status, latest if net else None)
