"""Webhooks as a code host sends them: signed, over real HTTP, many at once.

Each connection has a thread and the standard library's client, so that the clients cost little beside the service.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from threading import Lock
from typing import Any, Self
from urllib.parse import urlsplit

import trio
from attrs import frozen

from pgqmodel.service.webhooks import sign

__all__ = ["Answer", "deliver", "signed"]

PATIENCE_SECONDS = 60.0
Body = tuple[str, Mapping[str, Any]]
"""A delivery's identifier and its content."""


@frozen(kw_only=True)
class Answer:
    """The result of one delivery: its HTTP status (0: no answer), the time of sending, the seconds it took."""

    delivery: str
    status: int
    at: float
    seconds: float


def signed(secret: bytes, delivery: str, body: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """A body as bytes, and the headers that a code host sends with it."""
    raw = json.dumps(body).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": sign(secret, raw),
    }
    return raw, headers


async def deliver(url: str, secret: bytes, bodies: Sequence[Body], *, at_once: int) -> list[Answer]:
    """Send these deliveries over `at_once` connections at the same time."""
    answers: list[Answer] = []
    todo, lock = iter(bodies), Lock()
    limiter = trio.CapacityLimiter(at_once)

    def send_some() -> None:
        with _Host(url, secret) as host:
            while (body := _next(todo, lock)) is not None:
                answers.append(host.send(*body))

    async def send_in_thread() -> None:
        await trio.to_thread.run_sync(send_some, limiter=limiter)

    async with trio.open_nursery() as nursery:
        for _ in range(min(at_once, len(bodies))):
            nursery.start_soon(send_in_thread)
    return answers


def _next(todo: Iterator[Body], lock: Lock) -> Body | None:
    with lock:
        return next(todo, None)


class _Host:
    """A code host with one connection; a context manager."""

    def __init__(self, url: str, secret: bytes) -> None:
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_SECONDS)
        self._path = parts.path
        self._secret = secret

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, delivery: str, body: Mapping[str, Any]) -> Answer:
        """Send one delivery and read its answer; after a failure the next delivery gets a new connection."""
        raw, headers = signed(self._secret, delivery, body)
        at, started = time.time(), time.perf_counter()
        try:
            self._connection.request("POST", self._path, raw, headers)
            response = self._connection.getresponse()
            response.read()
            status = response.status
        except (OSError, HTTPException):
            self._connection.close()
            status = 0
        return Answer(delivery=delivery, status=status, at=at, seconds=time.perf_counter() - started)
