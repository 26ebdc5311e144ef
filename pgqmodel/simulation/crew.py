"""A simulation's workers: real processes, forked from one that has imported everything; they can be killed and stopped.

Each life of a worker is a client (`w3.71`, with the number of its process) and has a history file. Events of the
process itself, such as its end, are recorded here in a true order: see `kill`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import trio
from attrs import define, evolve, field

from pgqmodel.client.recorder import read_client_history
from pgqmodel.client.worker_process import WorkerOptions, work
from pgqmodel.errors import NoVerdictError
from pgqmodel.history import Ended, Event
from pgqmodel.simulation.leash import Leash
from pgqmodel.simulation.processes import begin, wait_end

__all__ = ["Crew", "Life"]

END_SECONDS_MAX = 30.0
LEFT_CODES = frozenset({0, -signal.SIGTERM, None})
"""The exit codes of workers that were asked to leave; SIGTERM itself ends a worker that has not begun yet."""


@define(kw_only=True, eq=False)
class Life:
    """One life of a worker: a process, from its start to its end."""

    worker: str
    process: ForkServerProcess
    history: Path
    stopped: bool = False
    killed_at: float | None = None

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def client(self) -> str:
        """Its name in the history."""
        return f"{self.worker}.{self.pid}"

    @property
    def alive(self) -> bool:
        """Whether its process has not ended."""
        return self.process.is_alive()

    @property
    def has_begun(self) -> bool:
        """Whether it has connected. A worker must not be killed earlier: it would do nothing and be killed again."""
        return self.history.exists() and self.history.stat().st_size > 0

    def events(self) -> Iterator[Event]:
        """The events of its client; if it was killed, its end comes after all that it recorded."""
        if self.history.exists():
            yield from read_client_history(self.history)
        if self.killed_at is not None:
            yield Ended(step=0, at=self.killed_at, client=self.client, crashed=True)


@define(kw_only=True)
class Crew:
    """All workers of a simulation, living and dead."""

    leash: Leash
    options: WorkerOptions
    """The options of every worker; name, connection and history differ for each."""
    conninfo: Callable[[str], str]
    """Gives the connection string for a worker's name."""
    directory: Path
    lives: list[Life] = field(factory=list)
    _names: int = 0

    @property
    def living(self) -> list[Life]:
        """The lives that have not ended."""
        return [life for life in self.lives if life.alive]

    @property
    def running(self) -> list[Life]:
        """The living workers that are not stopped."""
        return [life for life in self.living if not life.stopped]

    def start(self, count: int, **changes: Any) -> list[Life]:
        """Start so many workers with new names; `changes` replace options."""
        started = []
        for _ in range(count):
            self._names += 1
            started.append(self._begin(f"w{self._names}", evolve(self.options, **changes)))
        return started

    def again(self, life: Life, **changes: Any) -> Life:
        """Start a worker again under its old name, as an orchestrator does."""
        return self._begin(life.worker, evolve(self.options, **changes))

    def _begin(self, worker: str, options: WorkerOptions) -> Life:
        number = 1 + sum(life.worker == worker for life in self.lives)
        history = self.directory / f"{worker}-{number}.jsonl"
        own = evolve(options, name=worker, history=history, conninfo=self.conninfo(worker))
        life = Life(worker=worker, process=begin(self.leash, worker, _work, own), history=history)
        self.lives.append(life)
        return life

    async def kill(self, life: Life) -> None:
        """Kill a worker as a crash of its machine would, and wait until it is dead.

        Its end gets a time before the signal, and stands after all that it recorded. Its session on the server ends
        even later, so no other worker can have got its lock before that time.
        """
        life.killed_at = time.time()
        os.kill(life.pid, signal.SIGKILL)
        await self.wait_end(life)

    def stop(self, life: Life) -> None:
        """Stop a worker's whole process, like a long pause of its machine."""
        life.stopped = True
        os.kill(life.pid, signal.SIGSTOP)

    def go_on(self, life: Life) -> None:
        """Let a stopped worker go on."""
        os.kill(life.pid, signal.SIGCONT)
        life.stopped = False

    async def wait_end(self, life: Life) -> int:
        """Wait until a worker has ended, and return its exit code."""
        return await wait_end(self.leash, life.process)

    async def dismiss(self) -> None:
        """Ask every worker to finish, and wait for it; NoVerdictError if one does not, or fails."""
        for life in self.living:
            if life.stopped:
                self.go_on(life)
            os.kill(life.pid, signal.SIGTERM)
        with trio.move_on_after(END_SECONDS_MAX) as patience:
            for life in self.lives:
                await self.wait_end(life)
        failed = [life for life in self.lives if life.killed_at is None and life.process.exitcode not in LEFT_CODES]
        if patience.cancelled_caught or failed:
            which = ", ".join(life.client for life in failed or self.living)
            message = (
                f"the workers {which} did not end as they were asked to (code "
                f"{', '.join(str(life.process.exitcode) for life in failed) or 'none'}); expected each to finish its "
                "job and leave with 0. That is a defect: report it"
            )
            raise NoVerdictError(message)

    def end(self) -> None:
        """Kill the workers that are left."""
        for life in self.lives:
            with contextlib.suppress(ProcessLookupError):
                if life.alive:
                    os.kill(life.pid, signal.SIGKILL)
            life.process.join()

    def histories(self) -> list[Iterator[Event]]:
        """The history of each life."""
        return [life.events() for life in self.lives]


def _work(options: WorkerOptions) -> None:
    """The main function of a worker's process."""
    trio.run(work, options)
