"""Clients that wait for locks go on one at a time, in the order in which they began to wait.

When a lock is let go, Postgres wakes whoever waits for it, and if there are several it is up to the kernel's scheduler
which of them gets the row. So before anything that may wake several, their backends are stopped, and then each goes on
alone until it is still. A backend that waits for a lock sleeps and holds nothing internal, so it can be stopped.
Deciding when nothing moves is `proxy`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pgqmodel.wire.line import Line

__all__ = ["Waiters"]


class Waiters:
    """Who waits, oldest first, and who of them is stopped.

    `pause` stops a backend (True) or lets it go on (False); without it, on a server that others run, chance decides.
    """

    def __init__(self, pause: Callable[[int, bool], object] | None) -> None:
        self._pause = pause
        self._queue: list[Line] = []
        self._stopped: list[Line] = []

    def __contains__(self, line: Line) -> bool:
        return line in self._stopped

    def note(self, lines: Iterable[Line]) -> None:
        """Take note of who waits now."""
        waiting = [line for line in lines if line.blocked_by is not None]
        self._queue = [line for line in self._queue if line in waiting]
        self._queue += [line for line in waiting if line not in self._queue]

    def hold(self, but: Line | None = None) -> None:
        """Stop whoever waits (`but` one), if they are several: something is about to happen that may wake them."""
        if self._pause is None or self._stopped or len(self._queue) < 2:
            return
        self._stopped = [line for line in self._queue if line is not but]
        for line in self._stopped:
            self._pause(line.backend_pid, True)

    def turns(self) -> Iterator[Line]:
        """Let one after the other go on, each to be settled before the next is asked for.

        Whenever one of them has moved, those before it get another turn: it may have woken them.
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
        """Nobody is stopped any more."""
        for line in self._stopped:
            self._signal(line, stop=False)
        self._stopped = []

    def _signal(self, line: Line, *, stop: bool) -> None:
        assert self._pause is not None
        self._pause(line.backend_pid, stop)
