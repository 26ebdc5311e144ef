"""The judge's part for explored histories: we decided the order of commits.

Events come one after another, each at an instant of its own, and the history shows when each statement ran. So the
snapshot of every call is known, and a story ends with the first promise that it breaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define

from pgqmodel.history import COMMIT, Committed, Connected, Draining, Ended, Executed, Observed, Ran
from pgqmodel.judge.desk import Desk
from pgqmodel.model.answers import accept, end_transaction, let_go
from pgqmodel.model.change import Call, Change
from pgqmodel.model.claims import end_session
from pgqmodel.model.eligible import are_claims_open
from pgqmodel.operations import State, Status
from pgqmodel.promises import Source, Watcher
from pgqmodel.wire.sql import StatementKind, kind

__all__ = ["Exploring"]


@define(kw_only=True)
class _Transaction:
    """One transaction of a program: the times of its first and last units, and the version that it sees."""

    started_at: float
    version: int
    ran_at: float = 0.0
    over: bool = False


class Exploring:
    """The part of the judge for explored histories."""

    source = Source.EXPLORED
    many = False

    def __init__(self, desk: Desk) -> None:
        self.desk, self.state = desk, desk.state
        self._watchers: Sequence[Watcher] = desk.watchers
        self._committed: int | None = None
        """The step of the last commit."""
        self._transactions: dict[str, _Transaction] = {}
        """The last transaction on each connection of a program."""

    def suspects(self, name: str, before: State | None, after: State | None) -> Iterable[Call]:
        """The calls without a known end that may have changed a job: all in flight, oldest first.

        If the call that has just committed is known, no other call can have made the change. Session locks show before
        a commit, but then the observation names each call that ran since the last look.
        """
        if self._committed == self.state.step:
            return ()
        return self.state.in_flight.values()

    def invoked(self, call: Call) -> None:
        """A call begins; nothing is known of it before its first statement runs.

        A program's call is known by its commit. It began with the transaction, and what it read is as old as that.
        """
        found = self._transactions.get(call.invoked.line)
        if found is not None:
            self.desk.meet(call, found.version)
            call.started_at, call.ran_at, call.disturbed = found.started_at, found.ran_at, True

    def executed(self, event: Executed) -> None:
        """A unit of a program ran: it begins a transaction, or goes on with one."""
        known = self._transactions.get(event.line)
        if known is None or known.over:
            known = self._transactions[event.line] = _Transaction(started_at=self.state.now, version=self.state.version)
        if event.sql != COMMIT:
            known.ran_at = self.state.now
        known.over = not event.open

    def ran(self, call: Call, event: Ran) -> None:
        """A statement of a call ran: the first one fixes the snapshot of the call."""
        state, desk = self.state, self.desk
        call.ran_at = state.now
        if call.started_at is None:
            call.started_at = state.now
        if event.sql and kind(event.sql) is StatementKind.SESSION:
            return  # it takes no snapshot and locks no row
        for watcher in self._watchers:
            watcher.ran(state, call)
        if not call.ran:
            desk.meet(call, state.version)
            call.disturbed = (
                call.disturbed
                or any(other.open or other.blocked for other in state.in_flight.values() if other is not call)
                or are_claims_open(state)
            )
        desk.remember(desk.questions.ran, call)
        call.blocked, call.open = False, event.open
        if event.open:
            self._disturb(call)

    def blocked(self, call: Call) -> None:
        """A call waits for a lock, and may hold others."""
        call.blocked = call.disturbed = True
        if call.started_at is None:
            call.started_at = self.state.now
        self.desk.remember(self.desk.questions.waited, call)
        self._disturb(call)

    def _disturb(self, call: Call) -> None:
        """From now on `call` may hold locks, so calls that run beside it cannot be judged by their snapshots."""
        for other in self.state.in_flight.values():
            if other is not call:
                other.disturbed = True

    def committed(self, call: Call, event: Committed) -> None:
        """A call has committed."""
        self._committed = event.step

    def seen(self, event: Observed, changes: Sequence[Change]) -> None:
        """An observation is about to be judged."""

    def observed(self, event: Observed, changes: Sequence[Change]) -> None:
        """An observation was taken over."""
        for watcher in self._watchers:
            watcher.observed(self.state, event, changes)

    def is_lost(self, call: Call) -> bool:
        """Whether a call must be kept because its end is unknown: never, because its commit was observed."""
        return False

    def lose(self, call: Call) -> None:
        """Do nothing: no call is lost here."""

    def returned(self, call: Call) -> None:
        """A call is over, and its rules were asked."""
        if call.status is Status.OK:
            accept(self.state, call)
        let_go(self.state, call)
        end_transaction(self.state, call)
        for watcher in self._watchers:
            for broken in watcher.returned(self.state, call):
                self.desk.find(broken)

    def ended(self, event: Ended) -> None:
        """A client's session has ended."""
        end_session(self.state, event.client)

    def connected(self, event: Connected) -> None:
        """A client has a session; the end of the last one was an event of its own."""

    def restarted(self) -> None:
        """The server was killed; the sessions are over already."""

    def drained(self, event: Draining) -> None:
        """A drain is over."""
        self.desk.put(self.desk.questions.drained, event)

    def instant_over(self) -> None:
        """Do nothing: no events are simultaneous here."""
