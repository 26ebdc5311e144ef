"""The nemesis: what goes wrong in a simulation, and when, so that the page can show it and the judge can know it.

What ends a session is dated so that it is true for others: nobody can have been given a lock that it frees before the
date, and its client can have been given none after it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import trio
from attrs import define, field

from pgqmodel.errors import ServerGoneError, UsageError
from pgqmodel.history import Ended, Event, Restarted
from pgqmodel.server import LOST, Server, SideConnection
from pgqmodel.simulation.crew import Crew, Life
from pgqmodel.simulation.forwarder import Forwarder

__all__ = ["Nemesis"]

BACKENDS_END_MS_MAX = 10_000
_BACKENDS = "SELECT pid FROM pg_catalog.pg_stat_activity WHERE application_name = $1"
_TERMINATE = (
    "SELECT pg_catalog.pg_terminate_backend(pid, 0) FROM pg_catalog.pg_stat_activity WHERE application_name = $1"
)


@define(kw_only=True)
class Nemesis:
    """Brings faults upon a simulation; `record` has what a judge must know of them."""

    server: Server
    crew: Crew
    forwarder: Forwarder
    mark: Callable[[str], None]
    chance: random.Random
    record: list[Event] = field(factory=list)

    def pick(self) -> Life | None:
        """A worker that runs and has got as far as connecting, by chance."""
        running = [life for life in self.crew.running if life.has_begun]
        return self.chance.choice(running) if running else None

    async def kill(self, life: Life) -> Life:
        """Kill a worker; an orchestrator starts it again at once."""
        self.mark(f"kill {life.worker}")
        await self.crew.kill(life)
        return self.crew.again(life)

    def stop(self, life: Life) -> None:
        """Stop a worker as a long pause does."""
        self.mark(f"stop {life.worker}")
        self.crew.stop(life)

    def go_on(self, life: Life) -> None:
        """Let a stopped worker go on."""
        self.mark(f"continue {life.worker}")
        self.crew.go_on(life)

    async def terminate(self, life: Life) -> None:
        """End all sessions of a worker on the server, which its process finds out.

        It is stopped meanwhile: what it is given after the date of its end, it asked for before. If the server is down
        just now, that has ended its sessions already.
        """
        self.mark(f"terminate {life.worker}")
        self.crew.stop(life)
        ended = Ended(step=0, at=time.time(), client=life.client)
        try:
            await trio.to_thread.run_sync(self._end_sessions, life.worker)
        except (ServerGoneError, *LOST):
            return
        finally:
            self.crew.go_on(life)
        self.record.append(ended)

    def _end_sessions(self, worker: str) -> None:
        with SideConnection(self.server.conninfo()) as side:
            side.query(_TERMINATE, (worker, BACKENDS_END_MS_MAX))

    def cut(self, life: Life) -> None:
        """Cut a worker's connections on the way; nobody is told."""
        self.mark(f"cut {life.worker}")
        self.record.append(Ended(step=0, at=time.time(), client=life.client))
        self.forwarder.cut(life.worker)

    async def restart(self, *, down_seconds: float) -> None:
        """Kill the server as a power cut would, and start it again after a while; it recovers from its log."""
        if not self.server.can_crash:
            message = "a server that others run is never killed; expected an embedded one. Leave --pg URL out"
            raise UsageError(message)
        self.mark("server killed")
        await trio.to_thread.run_sync(self.server.crash)
        self.record.append(Restarted(step=0, at=time.time()))
        await trio.sleep(down_seconds)
        await trio.to_thread.run_sync(self.server.restart)
        self.mark("server back")
