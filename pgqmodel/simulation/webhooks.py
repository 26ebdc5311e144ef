"""Webhooks as a code host sends them: signed, over real HTTP, as many at once as a host would."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import trio
from attrs import frozen

from pgqmodel.queue.webhooks import sign

__all__ = ["Answer", "deliver", "signed"]

PATIENCE_SECONDS = 60.0


@frozen(kw_only=True)
class Answer:
    """How one delivery ended: its HTTP status (0: no answer), when it was sent, how long it took."""

    delivery: str
    status: int
    at: float
    seconds: float
    run: str | None = None


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


async def deliver(
    url: str, secret: bytes, bodies: Sequence[tuple[str, Mapping[str, Any]]], *, at_once: int
) -> list[Answer]:
    """Send these deliveries (an id and a body each), so many at once, each on one of `at_once` connections."""
    answers: list[Answer] = []
    todo = iter(bodies)

    async def send_some(client: httpx.AsyncClient) -> None:
        for delivery, body in todo:
            answers.append(await _send(client, url, secret, delivery, body))

    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once, keepalive_expiry=None)
    async with httpx.AsyncClient(limits=limits, timeout=PATIENCE_SECONDS) as client, trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(send_some, client)
    return answers


async def _send(client: httpx.AsyncClient, url: str, secret: bytes, delivery: str, body: Mapping[str, Any]) -> Answer:
    raw, headers = signed(secret, delivery, body)
    at, started = time.time(), time.perf_counter()
    try:
        response = await client.post(url, content=raw, headers=headers)
    except httpx.HTTPError:
        return Answer(delivery=delivery, status=0, at=at, seconds=time.perf_counter() - started)
    seconds = time.perf_counter() - started
    run = response.json().get("run") if response.status_code == httpx.codes.ACCEPTED else None
    return Answer(delivery=delivery, status=response.status_code, at=at, seconds=seconds, run=run)
