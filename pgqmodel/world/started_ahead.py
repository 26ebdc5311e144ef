"""Node processes that are started ahead: each has loaded the program's libraries, and waits before its first line.

Node cannot be forked, but most of its start is the same each time. So the next lives of a program begin while the
present one acts, and a process that no story needed is kept for the next story. Its clock stands at the beginning of
the story until its life begins, however long it has waited: a life that was begun in time and one that was begun ahead
are the same to the byte.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen

from pgqmodel.errors import TargetError
from pgqmodel.world.launching import Launch, Process, launch, said

if TYPE_CHECKING:
    from pgqmodel.clock import ProcessClock
    from pgqmodel.target import Command

__all__ = ["StartedAhead"]

_GUARD_SECONDS = 60.0
_SCRIPT = Path(__file__).with_suffix(".js")


@frozen(kw_only=True)
class _Waiting:
    """A process that waits for its life, its clock, and the socket on which it waits."""

    process: Process
    clock: ProcessClock
    given: Launch
    ours: socket.socket

    def end(self) -> None:
        self.ours.close()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.clock.close()


@define(kw_only=True)
class StartedAhead:
    """The processes of one world's programs that wait for their lives, by the program's name and the life's number."""

    command: Command
    prepare: Callable[[str, int], tuple[Launch, ProcessClock]]
    """Makes the clock and the surroundings of a life."""
    _waiting: dict[tuple[str, int], _Waiting] = field(init=False, factory=dict)

    def start(self, name: str, life: int, now_us: int) -> tuple[Process, ProcessClock, Launch]:
        """Begin a life; TargetError if the libraries cannot be loaded."""
        self.begin([(name, life)])
        found = self._waiting.pop((name, life))
        try:
            ready = found.ours.recv(1)
        except TimeoutError:
            ready = b""
        if not ready:
            found.end()
            message = (
                f"worker.preload: found {', '.join(self.command.preload)}, which {self.command.words[0]} cannot load; "
                f"expected packages that are installed for {self.command.directory}. Correct the list. "
                f"It said: {said(found.given.output)}"
            )
            raise TargetError(message)
        found.clock.set_now(now_us)
        found.ours.send(b".")
        found.ours.close()
        return found.process, found.clock, found.given

    def begin(self, lives: Iterable[tuple[str, int]]) -> None:
        """Start processes for these lives, if there are none yet."""
        for name, life in lives:
            if (name, life) not in self._waiting:
                self._waiting[name, life] = self._begin(*self.prepare(name, life))

    def _begin(self, given: Launch, clock: ProcessClock) -> _Waiting:
        ours, theirs = socket.socketpair()
        ours.settimeout(_GUARD_SECONDS)
        options = given.environment.get("NODE_OPTIONS")
        asked = {"socket": theirs.fileno(), "modules": self.command.preload, "options": options}
        ahead = {"NODE_OPTIONS": f"{options or ''} --require={_SCRIPT}".strip(), "PGQMODEL_AHEAD": json.dumps(asked)}
        with theirs:
            given = evolve(given, environment={**given.environment, **ahead})
            process = launch(self.command, given, keep=(theirs.fileno(),))
        return _Waiting(process=process, clock=clock, given=given, ours=ours)

    def close(self) -> None:
        """End all that wait: the world is over, or goes on with other random values."""
        for waiting in self._waiting.values():
            waiting.end()
        self._waiting.clear()
