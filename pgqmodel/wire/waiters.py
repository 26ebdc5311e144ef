"""Clients that wait for locks go on one at a time, in the order in which they began to wait.

When a lock is released, Postgres wakes the backends that wait for it. If there are several, the kernel's scheduler
decides which of them gets the row, and the same seed would not give the same story. So before a step that may wake
several, their backends are stopped, and then each goes on alone until it is still. A backend that waits for a lock
sleeps and holds no internal lock of the server, so it is safe to stop it. `proxy` decides when nothing moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pgqmodel.wire.line import Line

__all__ = ["Waiters"]


class Waiters:
    """The lines that wait for a lock, oldest wait first, and the lines among them that are stopped.

    `pause` stops a backend (True) or lets it go on (False). A server that we did not start has no `pause`: there,
    chance decides which backend goes on first.
    """

    def __init__(self, pause: Callable[[int, bool], object] | None) -> None:
        self._pause = pause
        self.spare = 1
        """How many may go on beside the client that lets them: in a program, two answers at once would race."""
        self._queue: list[Line] = []
        self._stopped: list[Line] = []

    def __contains__(self, line: Line) -> bool:
        return line in self._stopped

    def note(self, lines: Iterable[Line]) -> None:
        """Note which lines wait now."""
        waiting = [line for line in lines if line.blocked_by is not None]
        self._queue = [line for line in self._queue if line in waiting]
        self._queue += [line for line in waiting if line not in self._queue]

    def hold(self, but: Line | None = None) -> None:
        """Stop all lines that wait, except `but`, if they are too many. Called before a step that may wake them."""
        if but is not None and but in self._stopped:
            self._stopped.remove(but)
            self._signal(but, stop=False)
        if self._pause is None or self._stopped or len(self._queue) <= self.spare:
            return
        self._stopped = [line for line in self._queue if line is not but]
        for line in self._stopped:
            self._pause(line.backend_pid, True)

    def turns(self) -> Iterator[Line]:
        """Let the stopped lines go on, one by one; the caller settles each of them before it asks for the next.

        When one of them has moved, the lines before it get another turn, because its move may have woken them.
        """
        position = 0
        while position < len(self._stopped):
            line = self._stopped.pop(position)
            self._signal(line, stop=False)
            yield line
            if line.blocked_by is None:
                position = 0
            else:
                self._signal(line, stop=True)
                self._stopped.insert(position, line)
                position += 1
        self.let_go()

    def let_go(self) -> None:
        """Let all stopped lines go on."""
        for line in self._stopped:
            self._signal(line, stop=False)
        self._stopped = []

    def _signal(self, line: Line, *, stop: bool) -> None:
        assert self._pause is not None
        self._pause(line.backend_pid, stop)
