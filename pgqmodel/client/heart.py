"""The heartbeats of a worker: a thread with its own Trio loop and its own connection, so that no job can block it.

It is a thread of the worker's process, not another process: a heartbeat says that this process lives, so it must stop
when the process is stopped. A job that burns CPU shares the interpreter with it, which gives each of them a turn within
milliseconds. Every heartbeat carries the fence of the claim, and the worker is told of a refused one. The thread also
reclaims jobs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from random import Random

import trio
from attrs import define, field

from pgqmodel.client.backoff import Backoff
from pgqmodel.client.queue import ClaimedJob, Queue
from pgqmodel.errors import LostAnswerError, RolledBackError

__all__ = ["Heart"]

_log = logging.getLogger(__name__)


@define(kw_only=True)
class Heart:
    """Sends heartbeats for the claim in `claim` while there is one; `refused` is called in the worker's loop."""

    queue: Queue
    beat_seconds: float
    reclaim_seconds: float
    random: Random
    refused: Callable[[ClaimedJob], object]
    claim: ClaimedJob | None = None
    ready: trio.Event = field(factory=trio.Event)
    """Set in the worker's loop when the heart is connected. A worker waits for it before its first claim: while a job
burns CPU, connecting takes seconds."""
    _stopped: bool = False
    _scope: trio.CancelScope = field(factory=trio.CancelScope)
    _token: trio.lowlevel.TrioToken | None = None

    async def run(self) -> None:
        """Send heartbeats until `stop`; UsageError if the queue cannot be called at all."""
        home = trio.lowlevel.current_trio_token()
        await trio.to_thread.run_sync(partial(trio.run, self._beat_on, home))

    def stop(self) -> None:
        """End the thread at its next wait; may be called from another thread, and before the thread began."""
        self._stopped = True
        if self._token is not None:
            try:
                self._token.run_sync_soon(self._scope.cancel)
            except trio.RunFinishedError:
                return

    async def _beat_on(self, home: trio.lowlevel.TrioToken) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            if not self._stopped:
                await self._persist(home)
        with trio.CancelScope(shield=True):
            await self.queue.close()

    async def _persist(self, home: trio.lowlevel.TrioToken) -> None:
        """Send heartbeats and reclaim when they are due, and connect again when the connection is lost."""
        backoff = Backoff(random=self.random, seconds_max=max(self.beat_seconds / 4, 0.05))
        beat_at = trio.current_time() + self.beat_seconds
        reclaim_at = trio.current_time() + self.reclaim_seconds * self.random.uniform(0.5, 1)
        while True:
            try:
                if not self.queue.connected:
                    await self.queue.reconnect()
                    backoff.reset()
                    home.run_sync_soon(self.ready.set, idempotent=True)
                if trio.current_time() >= beat_at:
                    await self._beat(home)
                    beat_at = trio.current_time() + self.beat_seconds
                if trio.current_time() >= reclaim_at:
                    with trio.CancelScope(shield=True):
                        await self.queue.reclaim()
                    reclaim_at = trio.current_time() + self.reclaim_seconds
                await trio.sleep_until(min(beat_at, reclaim_at))
            except LostAnswerError:
                await self.queue.close()
                await trio.sleep(backoff.next_seconds())
            except RolledBackError as error:
                _log.warning("%s", error)
                await trio.sleep(backoff.next_seconds())

    async def _beat(self, home: trio.lowlevel.TrioToken) -> None:
        claim = self.claim
        if claim is None:
            return
        with trio.CancelScope(shield=True):
            accepted = await self.queue.heartbeat(claim)
        if not accepted and self.claim is claim:
            home.run_sync_soon(self.refused, claim)
