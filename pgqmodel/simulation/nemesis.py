"""The nemesis: it causes the faults of a simulation and records them for the page and for the judge.

The end of a session gets a time that is safe for the judge: before it no other client can have got a lock that the end
frees, and after it the ended client can have got none.
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
_TERMINATE = (
    "SELECT pg_catalog.pg_terminate_backend(pid, 0) FROM pg_catalog.pg_stat_activity WHERE application_name = $1"
)


@define(kw_only=True)
class Nemesis:
    """Causes faults in a simulation; `record` has the events that a judge must know."""

    server: Server
    crew: Crew
    forwarder: Forwarder
    mark: Callable[[str], None]
    chance: random.Random
    record: list[Event] = field(factory=list)

    def pick(self) -> Life | None:
        """A random worker among those that run and have connected."""
        running = [life for life in self.crew.running if life.has_begun]
        return self.chance.choice(running) if running else None

    async def kill(self, life: Life) -> Life:
        """Kill a worker; an orchestrator starts it again at once."""
        self.mark(f"kill {life.worker}")
        await self.crew.kill(life)
        return self.crew.again(life)

    def stop(self, life: Life) -> None:
        """Stop a worker, like a long pause."""
        self.mark(f"stop {life.worker}")
        self.crew.stop(life)

    def go_on(self, life: Life) -> None:
        """Let a stopped worker go on."""
        self.mark(f"continue {life.worker}")
        self.crew.go_on(life)

    async def terminate(self, life: Life) -> None:
        """End all sessions of a worker on the server; its process notices that by itself.

        The worker is stopped meanwhile, so it asks for nothing after the recorded end. If the server is down, its
        sessions have ended already.
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
        """Cut a worker's connections in the forwarder; neither side gets a message."""
        self.mark(f"cut {life.worker}")
        self.record.append(Ended(step=0, at=time.time(), client=life.client))
        self.forwarder.cut(life.worker)

    async def restart(self, *, down_seconds: float) -> None:
        """Kill the server as a power cut would, and start it again later; it recovers from its log."""
        if not self.server.can_crash:
            message = "a server that others run is never killed; expected an embedded one. Leave --pg URL out"
            raise UsageError(message)
        self.mark("server killed")
        await trio.to_thread.run_sync(self.server.crash)
        self.record.append(Restarted(step=0, at=time.time()))
        await trio.sleep(down_seconds)
        await trio.to_thread.run_sync(self.server.restart)
        self.mark("server back")
