"""The judge's part for histories recorded at full speed: it knows only the times of a call.

The order of commits is known: it comes from the write-ahead log. The snapshots are not. Calls really overlapped, and
answers were lost, so a call may have looked at the queue at any instant between its two times. In an explored history
the gate has fixed that instant, and one rule says what is right. Here many instants are possible, and a queue must not
be accused for one of them.

So a rule that depends on a snapshot speaks only where every possible order agrees. This misses some bugs. A false
accusation would cost more, because a person has to disprove it. The watchers of the promises keep what such rules need,
such as the jobs that a claim may have passed over.

Invariants:

- What is simultaneous is unordered. "Before" and "after" are said of instants, and never of the lines of a history: two
  clients write with one clock, and the order of their lines at one instant is chance.
- A call overlaps every call that is answered at the instant at which it begins, and every call that begins at the
  instant at which it is answered.
- Therefore nothing that a later line of the same instant could excuse is judged before the instant is over
  (`instant_over`).
- A call whose answer was lost may have had its effect, or none. Only the log can say that it had.

The partial order of calls in real time is that of Herlihy and Wing (1990); the known commit order makes the search of
`checks` unnecessary here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgqmodel.history import Committed, Connected, Draining, Ended, Executed, Observed, Ran
from pgqmodel.judge.desk import Desk
from pgqmodel.model.answers import accept
from pgqmodel.model.change import Call, Change
from pgqmodel.model.claims import end_session
from pgqmodel.model.facts import NewSession, UnlockLost
from pgqmodel.model.holds import HoldState
from pgqmodel.operations import LOCK, UNLOCK, State, Status
from pgqmodel.promises import Source, Watcher

__all__ = ["Recording"]

_HELD, _LAPSED = HoldState.HELD, HoldState.LAPSED
_FAILED = frozenset({Status.ERROR, Status.UNKNOWN})


class Recording:
    """The part of the judge for recorded histories."""

    source = Source.RECORDED
    many = True

    def __init__(self, desk: Desk) -> None:
        self.desk, self.state = desk, desk.state
        # Tell a watcher only the events that it handles: most handle few, and a long history has very many calls.
        self._told = {word: [each for each in desk.watchers if each.hears(word)] for word in Watcher.WORDS}
        self._drained: Draining | None = None

    def suspects(self, name: str, before: State | None, after: State | None) -> Iterable[Call]:
        """The calls without a known end that may have changed a job: those in flight and the lost ones."""
        return self.state.in_flight.candidates(name, before, after)

    def invoked(self, call: Call) -> None:
        """A call begins; its snapshot is a later one."""
        state = self.state
        call.started_at = state.now
        self.desk.meet(call, state.version_before)
        call.disturbed = True  # only the times of its snapshot are known
        state.interests.begin(state, call)
        for watcher in self._told["invoked"]:
            watcher.invoked(state, call)

    def ran(self, call: Call, event: Ran) -> None:
        """Do nothing: a recorded history does not show statements."""

    def executed(self, event: Executed) -> None:
        """Do nothing: a recorded history does not show statements."""

    def blocked(self, call: Call) -> None:
        """Do nothing: waits matter only for deadlocks."""

    def committed(self, call: Call, event: Committed) -> None:
        """A call has committed, and its clock was not later."""
        if event.at is not None:
            call.ran_at = event.at

    def seen(self, event: Observed, changes: Sequence[Change]) -> None:
        """A commit is about to be judged; a call without a commit of its own may have made it now."""
        if event.at is not None:
            for change in changes:
                if change.call is not None and change.call.number not in event.by:
                    change.call.ran_at = event.at

    def observed(self, event: Observed, changes: Sequence[Change]) -> None:
        """A commit was taken over."""
        in_flight = self.state.in_flight
        for change in changes:
            if change.call is not None and change.call.number in in_flight.lost:
                in_flight.find(change.call)
        for watcher in self._told["observed"]:
            watcher.observed(self.state, event, changes)

    def returned(self, call: Call) -> None:
        """A call is over, and its rules were asked."""
        state = self.state
        if call.status is Status.OK and not self._is_old(call):
            accept(state, call)
        state.interests.end(state, call)
        for watcher in self._told["returned"]:
            for broken in watcher.returned(state, call):
                self.desk.find(broken)
        if call.status in _FAILED:
            self._doubt(call.client)
        del state.calls[call.number]

    def _is_old(self, call: Call) -> bool:
        """Whether the answer to a lock came so late that another client has the job and the lock by now."""
        if call.operation != LOCK.name or self.state.is_current(call):
            return False
        hold = self.state.hold_of(call)
        return hold is not None and hold.state is _HELD

    def is_lost(self, call: Call) -> bool:
        """Whether a call must be kept because its end is not known."""
        return call.status is Status.UNKNOWN

    def lose(self, call: Call) -> None:
        """A call's answer was lost: the call stays among those that may have made a change without a known author."""
        state = self.state
        state.in_flight.lose(call)
        state.interests.lose(call)
        for watcher in self._told["lost"]:
            watcher.lost(state, call)
        if call.operation == UNLOCK.name:
            hold = state.hold_of(call)
            if hold is not None and hold.client == call.client and hold.state is _HELD:
                hold.state, hold.freed = _LAPSED, UnlockLost(call.client)
        self._doubt(call.client)

    def ended(self, event: Ended) -> None:
        """A client's session has ended, or the client itself: then its calls will never be answered."""
        if not event.crashed:
            self._lapse(event.client)
            return
        self._doubt(event.client)
        for call in self.state.in_flight.of_client(event.client):
            self.lose(call)
        end_session(self.state, event.client)

    def connected(self, event: Connected) -> None:
        """A client has a session; if it had one before, that one has ended some time ago."""
        if event.client in self.state.sessions:
            self._lapse(event.client)

    def restarted(self) -> None:
        """The server was killed: every earlier statement has ended."""
        self.state.interests.restart(self.state.instant)
        for watcher in self._told["restarted"]:
            watcher.restarted(self.state)

    def _doubt(self, client: str) -> None:
        """A client's session may have ended some time ago: it can show nothing about the time before."""
        for watcher in self._told["doubted"]:
            watcher.doubted(self.state, client)

    def _lapse(self, client: str) -> None:
        """A client's session has ended some time ago: its lock may be held or free."""
        self._doubt(client)
        for hold in self.state.holds.values():
            if hold.client == client and hold.state is _HELD:
                hold.state, hold.freed = _LAPSED, NewSession(client=client, step=self.state.step)

    def drained(self, event: Draining) -> None:
        """A drain is over. Events of the same instant still belong to it, so it is judged when the instant is over."""
        self._drained = event

    def instant_over(self) -> None:
        """All events of the instant are known: judge the calls that one of them could have excused."""
        for watcher in self._told["instant_over"]:
            for broken in watcher.instant_over(self.state):
                self.desk.find(broken)
        if self._drained is not None:
            drained, self._drained = self._drained, None
            self.desk.put(self.desk.questions.drained, drained)
