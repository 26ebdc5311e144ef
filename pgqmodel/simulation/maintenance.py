"""Maintenance: a client that reclaims the jobs of silent workers at intervals, through all faults of the server."""

from __future__ import annotations

import random

import trio

from pgqmodel.client import Queue
from pgqmodel.client.backoff import Backoff
from pgqmodel.errors import LostAnswerError, RolledBackError

__all__ = ["maintain", "reconnect"]


async def maintain(queue: Queue, every_seconds: float, chance: random.Random) -> None:
    """Reclaim at intervals until cancelled."""
    while True:
        try:
            await queue.reclaim()
        except LostAnswerError:
            await reconnect(queue, chance)
        except RolledBackError as error:
            if not error.passing:
                raise
        await trio.sleep(every_seconds)


async def reconnect(queue: Queue, chance: random.Random) -> None:
    """Try to connect until the server accepts us."""
    backoff = Backoff(random=chance)
    while True:
        try:
            await queue.reconnect()
        except LostAnswerError:
            await trio.sleep(backoff.next_seconds())
        else:
            return
