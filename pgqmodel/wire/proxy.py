"""The gate: it stands between the clients and the server, lets one client go on, and waits until nothing moves.

Settling. After each decision the gate waits until nothing moves any more; only then may the next step be chosen. If it
went on too early, the next choice would depend on the speed of the machine, and the same seed would not give the same
story. The obvious way, to wait for some milliseconds, fails in both directions: a slow answer looks like a lock, and a
short lock looks like an answer. So an elapsed delay is never taken for a lock. The loop ends when every connection is
in one of four states:

- idle: its client has its answer and has sent nothing new;
- held: a unit, or a COMMIT, waits for a decision;
- closed;
- blocked: the server says that its backend waits for a lock of another connection of the gate, or of a prepared
  transaction, or that it sleeps on the clock. The gate asks that while the socket is silent, and looks at the socket
  again after it: an answer that arrived in between wins. A wait for another process, such as a vacuum, ends by
  itself, and the gate waits for its end.

When any server has sent something, every confirmation is dropped, because the answer may have come with the end of a
lock. When a client has been told something, the clients' tasks run again until all of them wait.

The gate has no task of its own. It reads both sides of every connection when it settles, and only then, so the order
in which it takes things in does not depend on a scheduler (decision 3). Several clients that wait for one lock are let
go on one by one; see `waiters`. If nothing moves and nothing is confirmed for the guard's time, settling raises
StuckError with the state of each connection: to guess would be a false verdict.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import trio
import trio.testing

from pgqmodel.errors import StuckError, WireError
from pgqmodel.wire.doors import GUARD_SECONDS, Address, Doors
from pgqmodel.wire.line import CHUNK, Line, ready
from pgqmodel.wire.messages import TERMINATE
from pgqmodel.wire.session import LineState, Unit
from pgqmodel.wire.waiters import Waiters

__all__ = ["Gate"]

POLL_MS = 0.5
PREPARED_PID = 0
"""The server's number for the holder of a prepared transaction's lock. A client at the gate has to end it."""
_BUSY = frozenset({LineState.STARTING, LineState.RUNNING})
Blocked = Callable[[Sequence[int]], Mapping[int, Sequence[int]]]


class Gate:
    """All lines to one server. An async context manager that closes its listeners and lines at its end."""

    def __init__(
        self,
        server: Address,
        *,
        directory: Path | str,
        is_blocked: Blocked,
        end_backend: Callable[[int], object] | None = None,
        pause: Callable[[int, bool], object] | None = None,
        split_commits: bool = True,
    ) -> None:
        """`end_backend` ends the backend of a client that is cut while it waits for a lock.

        Without that the backend would go on waiting: it does not look at its socket meanwhile.

        `pause` stops a backend or lets it go on; see `waiters`.
        """
        self._end_backend = end_backend
        self._rest: Callable[[], Awaitable[object]] = trio.testing.wait_all_tasks_blocked
        self.waiters = Waiters(pause)
        self._is_blocked = is_blocked
        self.lines: dict[str, Line] = {}
        self.errors: list[WireError] = []
        self._doors = Doors(
            server,
            directory=directory,
            lines=self.lines,
            errors=self.errors,
            end=self._end,
            split_commits=split_commits,
        )
        self.left = self._doors.left

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.waiters.let_go()
        for line in self.lines.values():
            line.close()
        self._doors.close()

    def serve_programs(self, rest: Callable[[], Awaitable[object]]) -> None:
        """From now on clients are programs, too. `rest` waits until none of the clients moves."""
        self._rest = rest
        self._doors.one_by_one = True
        self.waiters.spare = 0

    def listen(self, name: str, *, most: int = 0) -> str:
        """Open a socket for this client alone, and return its directory, to be used as `host`.

        With `most` it may have so many connections at once: the lines `A.1`, `A.2` and so on of the client `A`.
        """
        return self._doors.listen(name, most=most)

    def is_stirred(self) -> bool:
        """Whether a client has sent something, or wants to come in, since the gate settled."""
        return self._doors.is_stirred()

    def lines_of(self, client: str) -> list[Line]:
        """The open lines of a program, in the order in which they came."""
        lines = [line for name, line in self.lines.items() if name.startswith(f"{client}.")]
        return sorted(lines, key=lambda line: int(line.name.rpartition(".")[2]))

    def listen_tcp(self, name: str) -> int:
        """Open a port on the loopback interface, for a client that cannot use a Unix socket."""
        return self._doors.listen_tcp(name)

    # -- decisions -------------------------------------------------------------------------------------------------

    def release(self, line: Line) -> None:
        """Let a held unit go to the server."""
        self.waiters.hold()
        line.session.release()
        line.flush_server()

    def commit(self, line: Line) -> None:
        """Let a held COMMIT go to the server."""
        self.waiters.hold()
        line.session.commit()
        line.flush_server()

    def deliver(self, line: Line) -> None:
        """Let the oldest notification go to the client."""
        line.session.deliver()
        line.flush_client()

    def fence(self, line: Line) -> None:
        """Make the server send an idle line the notifications from before this moment."""
        line.session.fence()
        line.flush_server()

    async def cut(self, line: Line, *, answer_lost: bool) -> list[Unit]:
        """Cut a connection and wait until its backend is gone. Return the units that ran on the way.

        With `answer_lost` the unit that waits at the gate runs first, and commits if it can. If it has to wait for a
        lock, its backend is ended while it waits.
        """
        line.session.muted = True
        if answer_lost:
            if line.state is LineState.HELD:
                self.release(line)
            elif line.state is LineState.COMMIT_HELD:
                self.commit(line)
            await self.settle()
        ran = line.take_ran()
        self._end(line)
        return ran

    def close_lines(self) -> None:
        """Close every line, because the server is gone or will be soon."""
        for line in self.lines.values():
            line.close()
        self.lines.clear()

    def _end(self, line: Line) -> None:
        """Close a line and wait until its backend has ended, because only then its locks are free."""
        self.waiters.hold(but=line)  # its end may wake several that wait for its locks
        if line.state is not LineState.CLOSED:
            if line.blocked_by is not None and self._end_backend is not None:
                self._end_backend(line.backend_pid)
            # A backend that waits for a lock does not read this, so it is waited for only if it could be ended.
            with contextlib.suppress(OSError):
                line.server.send(TERMINATE)
                if line.blocked_by is None or self._end_backend is not None:
                    self._wait_for_end(line)
        line.close()
        if self.lines.get(line.name) is line:
            del self.lines[line.name]

    def _wait_for_end(self, line: Line) -> None:
        deadline = time.monotonic() + GUARD_SECONDS
        poll = select.poll()
        poll.register(line.server, select.POLLIN)
        while time.monotonic() < deadline:
            if poll.poll(50) and not line.server.recv(CHUNK):
                return
        raise StuckError(f"the backend of {line.name} did not end in {GUARD_SECONDS:g} s. " + self._dump())

    # -- settling --------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait until nothing moves. Raise StuckError with a dump if that takes longer than the guard allows."""
        await self._settle_awake()
        for _ in self.waiters.turns():
            await self._settle_awake()

    async def _settle_awake(self) -> None:
        """Settle the lines that are not stopped."""
        deadline = time.monotonic() + GUARD_SECONDS
        waited_ms = 0.0
        confirmed: set[str] = set()
        before = {name for name, line in self.lines.items() if line.blocked_by is not None}
        # After a decision nothing can move before the server has answered, so the clients need no look.
        quiet = any(
            line.state is LineState.RUNNING and line.name not in before and not line.waits_for_client
            for line in self.lines.values()
        )
        while True:
            if not quiet and await self._clients_move():
                continue
            quiet = False
            busy = [line for line in self.lines.values() if line.state in _BUSY]
            unsettled = [
                line
                for line in busy
                if line.name not in confirmed and line not in self.waiters and not line.waits_for_client
            ]
            if not unsettled:
                self._reap()
                return
            # Lines that were blocked before probably still are: ask the server at once. If the answer is "not blocked"
            # and nothing moves, ask less and less often, because each question costs the server time.
            patience_ms = 0.0 if all(line.name in before for line in unsettled) and not waited_ms else POLL_MS
            moved = ready(busy, patience_ms + waited_ms)
            for line in moved:
                line.meet_server()
            if moved:
                confirmed.clear()
                waited_ms = 0.0
                continue
            confirmed |= self._confirm(unsettled)
            waited_ms = min(waited_ms + POLL_MS, 5.0)
            if time.monotonic() > deadline:
                message = f"nothing moved for {GUARD_SECONDS:g} s; expected an answer or a lock. " + self._dump()
                raise StuckError(message)

    async def _clients_move(self) -> bool:
        """Let the clients' tasks run until they wait, and read what they sent. Return whether they may move again."""
        await self._rest()
        answered = self._doors.look_at_clients()
        for line in self.lines.values():
            if self._doors.one_by_one and (answered or self._runs()):
                break
            # Count only bytes that were sent, or a client that never reads keeps this from ending.
            answered |= line.flush_client()
            if line.state is LineState.HELD and line.unit is not None and line.unit.free:
                self.release(line)  # it needs no choice
        return answered

    def _runs(self) -> bool:
        """Whether the server is about to answer somebody."""
        return any(line.state in _BUSY and line.blocked_by is None for line in self.lines.values())

    async def wait_unblocked(self, line: Line) -> None:
        """Settle until a blocked line is no longer blocked. Raise StuckError after the guard's time."""
        deadline = time.monotonic() + GUARD_SECONDS
        await self._settle_awake()
        while line.blocked_by is not None:
            if time.monotonic() > deadline:
                message = f"{line.name} is still blocked after {GUARD_SECONDS:g} s. " + self._dump()
                raise StuckError(message)
            await self._settle_awake()
        await self.settle()

    def _confirm(self, lines: Sequence[Line]) -> set[str]:
        """The lines that the server says are blocked and whose sockets are still silent."""
        waits = self._is_blocked([line.backend_pid for line in lines if line.backend_pid])
        # A wait for another process, such as a vacuum, ends by itself and does not belong to the story.
        enders = {PREPARED_PID, *(line.backend_pid for line in self.lines.values())}
        lasting = {pid for pid, by in waits.items() if not by or not enders.isdisjoint(by)}
        for line in lines:
            line.blocked_by = None
        silent = [line for line in lines if line.backend_pid in lasting and not line.cancelled]
        if ready(silent, 0):
            return set()
        for line in silent:
            line.blocked_by = sorted(waits[line.backend_pid])
        return {line.name for line in silent}

    def _reap(self) -> None:
        """Clear the confirmation of lines that are no longer blocked, and forget the lines that the server closed."""
        for name, line in list(self.lines.items()):
            if line.state not in _BUSY:
                line.blocked_by = None
            if line.state is LineState.CLOSED:
                del self.lines[name]
        self._doors.forget_closed()
        self.waiters.note(self.lines.values())

    def _dump(self) -> str:
        """The state of each line, for an error message."""
        return "; ".join(
            f"{line.name}: {line.state}"
            + (f" {line.unit.sql[:80]!r}" if line.unit else "")
            + (f", blocked by {line.blocked_by}" if line.blocked_by is not None else "")
            for line in self.lines.values()
        )
