"""Joins the clients' histories with the committed transactions: one history, in the notation of `pgqmodel.history`.

Four orders hold in the result: the order of each client's events; the order of invocations and answers by the clock;
the order of commits in the write-ahead log; and every commit stands between its call's invocation and answer. With true
clocks the four never contradict each other, because a client notes an invocation before it sends and an answer after it
came, and the server stamps a commit before it writes it; docs/witness.md has the argument. If clocks differ by less
than `SLACK_SECONDS` the log decides; if they differ by more, there is no verdict.

Memory holds only a window of about a second and the calls that are still open.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from attrs import define, field, fields, frozen

from pgqmodel.errors import NoVerdictError
from pgqmodel.history import EVENTS, Committed, Event, Invoked, Job, Observed, Returned
from pgqmodel.operations import OPERATIONS, State, Status

__all__ = ["SLACK_SECONDS", "Commit", "merge"]

SLACK_SECONDS = 0.05
"""The largest difference between the clocks of clients and server; beyond it there is no verdict."""
WINDOW_SECONDS = 0.5
"""The stretch of time that is read ahead at once."""
REMEMBERED_SECONDS = 60.0
_FIRST, _LAST = -float("inf"), float("inf")
_XIDS = 1 << 32
_NAMES = {kind: tuple(attribute.name for attribute in fields(kind)) for kind in EVENTS.values()}


@frozen(kw_only=True)
class Commit:
    """A committed transaction in the model's words.

    `xid` is the log's number of 32 bits; None for the state before the record began.
    """

    xid: int | None
    at: float
    jobs: Mapping[str, Job | None] = field(factory=dict)
    runs: Mapping[str, State | None] = field(factory=dict)
    environments: Mapping[str, Any] = field(factory=dict)


@define(eq=False)
class _Call:
    """A call whose answer names a transaction."""

    source: _Source
    invoked: Invoked
    returned: Returned
    number: int = 0
    """The call's number in the merged history; 0 before its invocation is emitted."""

    @property
    def lost(self) -> bool:
        """Whether its answer was lost, so that it may still commit."""
        return self.returned.status is Status.UNKNOWN

    def __str__(self) -> str:
        invoked = self.invoked
        return f"call {invoked.call} of {invoked.client} ({invoked.operation}, invoked at {invoked.at:.6f})"


class _Source:
    """The events of one client, read ahead as far as needed; their times never decrease."""

    def __init__(self, place: int, events: Iterable[Event]) -> None:
        self.place = place
        self.read = _FIRST
        self.buffer: deque[tuple[float, Event]] = deque()
        self.calls: dict[int, _Call] = {}
        """Calls that name a transaction, until they are emitted."""
        self.numbers: dict[int, int] = {}
        self.taken = 0
        self.shown = -1
        self.ended = False
        self._events = iter(events)
        self._open: dict[int, Invoked] = {}

    def read_until(self, at: float) -> Iterator[_Call]:
        """Read until `at`, and until every call invoked by then is answered. Yield the calls that name transactions."""
        while not self.ended and (not self.buffer or self.read <= at or self._waits(at)):
            event = next(self._events, None)
            if event is None:
                self.ended = True
                return
            self.read = max(self.read, _time(event))
            self.buffer.append((self.read, event))
            if isinstance(event, Invoked):
                self._open[event.call] = event
            elif isinstance(event, Returned):
                invoked = self._open.pop(event.call, None)
                if invoked is None:
                    _refuse(
                        f"{event.client} has an answer to call {event.call}, which it did not invoke",
                        "every answer after its invocation, in the same file",
                        "The file is damaged, or put together of several",
                    )
                if event.transaction is not None:
                    self.calls[event.call] = call = _Call(self, invoked, event)
                    yield call

    def _waits(self, at: float) -> bool:
        """Whether a call that was invoked by `at` has no answer yet."""
        oldest = next(iter(self._open.values()), None)
        return oldest is not None and _time(oldest) <= at


def merge(clients: Iterable[Iterable[Event]], commits: Iterable[Commit]) -> Iterator[Event]:
    """Merge the clients' histories with the commits in the log's order; NoVerdictError if they do not fit together.

    Calls get new numbers, and `step` is the place in the result. A call without an answer keeps the rest of its
    client's events in memory; otherwise memory is bounded.
    """
    yield from _Merge(clients, commits).run()


class _Merge:
    """The state of one merge."""

    def __init__(self, clients: Iterable[Iterable[Event]], commits: Iterable[Commit]) -> None:
        self._sources = [_Source(place, events) for place, events in enumerate(clients)]
        self._commits = iter(commits)
        self._ahead: deque[tuple[float, Commit]] = deque()
        self._ahead_xids: set[int | None] = set()
        self._claimed: dict[int, list[_Call]] = {}
        """The calls of each transaction, until its commit is emitted."""
        self._told: dict[int, tuple[float, _Call | None]] = {}
        """Transactions whose commit was emitted without a call: its time, and the call whose answer waited for it."""
        self._without: dict[int, tuple[float, _Call | None]] = {}
        """Transactions without a commit when their call was answered: they rolled back, or changed no row."""
        self._clock = self._horizon = _FIRST
        self._heads: list[tuple[float, int, int, int]] = []
        self._calls = self._steps = 0

    def run(self) -> Iterator[Event]:
        """Yield the merged events, one by one."""
        for source in self._sources:
            self._show(source)
        while True:
            commit, head = self._next_commit(), self._next_head()
            now = min(commit[0] if commit else _LAST, head[0] if head else _LAST)
            if now == _LAST:
                return
            if self._look_ahead(now):
                continue
            if commit and (head is None or (commit[0], 1) < head[:2]):
                waiting = self._waiting(commit[1])
                if waiting is None:
                    yield from self._tell()
                    continue
                if head is None:
                    self._clash(waiting, "committed, but it is not in its client's history any more")
            assert head is not None
            yield from self._take(self._sources[head[2]])

    # -- reading ---------------------------------------------------------------------------------------------------

    def _look_ahead(self, now: float) -> bool:
        """Read every client beyond `now`, by the slack of the clocks. Return whether there was anything to read."""
        if now + SLACK_SECONDS <= self._horizon:
            return False
        self._horizon = now + SLACK_SECONDS + WINDOW_SECONDS
        for source in self._sources:
            self._read(source)
        return True

    def _read(self, source: _Source) -> None:
        """Read a client up to the horizon, and enter the transactions of its calls."""
        for call in source.read_until(self._horizon):
            xid = _short(call.returned)
            if xid in self._told:
                later = self._told[xid][1]
                before = f", and {later}, which committed later, was answered" if later else ""
                self._clash(call, f"was invoked only after that had committed{before}")
            self._claimed.setdefault(xid, []).append(call)

    def _show(self, source: _Source) -> None:
        """Put a client's next event into the heap."""
        if not source.buffer:
            self._read(source)
        if source.buffer and source.shown < source.taken:
            at, event = source.buffer[0]
            source.shown = source.taken
            heapq.heappush(self._heads, (at, 0 if isinstance(event, Invoked) else 2, source.place, source.taken))

    def _next_head(self) -> tuple[float, int, int, int] | None:
        """The earliest of the clients' next events; entries of events that were emitted early are dropped."""
        while self._heads and self._heads[0][3] < self._sources[self._heads[0][2]].taken:
            heapq.heappop(self._heads)
        return self._heads[0] if self._heads else None

    def _next_commit(self) -> tuple[float, Commit] | None:
        return self._ahead[0] if self._ahead or self._read_commit() else None

    def _read_commit(self) -> bool:
        """Read one more commit. If its time is before the latest one, it gets that: the log's order is the true one."""
        commit = next(self._commits, None)
        if commit is None:
            return False
        self._clock = max(self._clock, commit.at)
        self._ahead.append((self._clock, commit))
        self._ahead_xids.add(commit.xid)
        return True

    # -- telling ---------------------------------------------------------------------------------------------------

    def _take(self, source: _Source) -> Iterator[Event]:
        """Emit a client's next event; before an answer, emit all commits up to the call's own."""
        at, event = source.buffer[0]
        if self._is_due(source, event, at):
            yield from self._tell_until(source.calls[event.call], at)  # type: ignore[attr-defined]
        source.buffer.popleft()
        source.taken += 1
        self._show(source)
        yield _change(event, {"step": self._step(), "at": at, **self._renumber(source, event)})

    def _is_due(self, source: _Source, event: Event, at: float) -> bool:
        """Whether the event is an answer, and its commit must be emitted first.

        A lost answer waits for no commit, because the commit may come later.
        """
        if not isinstance(event, Returned) or event.transaction is None or event.status is Status.UNKNOWN:
            return False
        xid, call = _short(event), source.calls[event.call]
        if xid not in self._claimed:
            return False
        must = event.status is Status.OK and OPERATIONS[call.invoked.operation].published
        while xid not in self._ahead_xids and (must or self._clock <= at + SLACK_SECONDS):
            if not self._read_commit():
                break
        if xid in self._ahead_xids:
            return True
        if must:
            self._clash(call, "was accepted, but its transaction is not in the write-ahead log")
        del self._claimed[xid]
        _remember(self._without, xid, at, call)
        return False

    def _tell_until(self, call: _Call, at: float) -> Iterator[Event]:
        """Emit the commits up to the commit of the call that is answered now."""
        xid = _short(call.returned)
        while xid in self._ahead_xids:
            while (before := self._waiting(self._ahead[0][1])) is not None:
                yield from self._pull(before, call, at)
            yield from self._tell(call)

    def _pull(self, before: _Call, call: _Call, at: float) -> Iterator[Event]:
        """Emit this invocation early: its clock is late, but its commit comes first in the log."""
        source = before.source
        while not before.number:
            time, event = source.buffer[0]
            if source is call.source or time > at + SLACK_SECONDS or self._is_due(source, event, time):
                self._clash(before, f"committed before {call}, which was answered at {at:.6f}")
            yield from self._take(source)

    def _tell(self, answered: _Call | None = None) -> Iterator[Event]:
        """Emit the next commit, with its calls if they are known. `answered` is the call whose answer waits for it."""
        at, commit = self._ahead.popleft()
        self._ahead_xids.discard(commit.xid)
        calls = [] if commit.xid is None else self._claimed.pop(commit.xid, [])
        for call in calls:
            if not call.lost and commit.at > _time(call.returned) + SLACK_SECONDS:
                self._clash(call, f"was answered at {call.returned.at:.6f}, but committed at {commit.at:.6f}")
            yield Committed(step=self._step(), at=commit.at, client=call.invoked.client, call=call.number)
        if commit.jobs or commit.runs or commit.environments:
            by = tuple(call.number for call in calls)
            changed = {"jobs": commit.jobs, "runs": commit.runs, "environments": commit.environments}
            yield Observed(step=self._step(), at=commit.at, by=by, **changed)
        if not calls and commit.xid is not None:
            if (owner := self._without.get(commit.xid, (0.0, None))[1]) is not None:
                self._clash(owner, f"was answered at {owner.returned.at:.6f}, but committed at {commit.at:.6f}")
            _remember(self._told, commit.xid, at, answered)

    def _waiting(self, commit: Commit) -> _Call | None:
        """A call of this commit whose invocation is not emitted yet."""
        calls = () if commit.xid is None else self._claimed.get(commit.xid, ())
        return next((call for call in calls if not call.number), None)

    def _renumber(self, source: _Source, event: Event) -> dict[str, Any]:
        """The changed fields of an event: the numbers of calls, as the merged history has them."""
        if isinstance(event, Invoked):
            self._calls += 1
            source.numbers[event.call] = self._calls
            if event.call in source.calls:
                source.calls[event.call].number = self._calls
            return {"call": self._calls, "claim": _claim(source, event)}
        if isinstance(event, Returned):
            source.calls.pop(event.call, None)
            claimed = event.status is Status.OK and event.job is not None
            return {"call": source.numbers[event.call] if claimed else source.numbers.pop(event.call)}
        return {}

    def _step(self) -> int:
        """The next place in the history."""
        self._steps += 1
        return self._steps

    def _clash(self, call: _Call, reason: str) -> NoReturn:
        _refuse(
            f"{call} with transaction {call.returned.transaction} {reason}",
            "its commit in the log, between its invocation and its answer",
            f"Clocks more than {SLACK_SECONDS:g} s apart, a part of the log missing, or a lost commit explain it",
        )


def _change(event: Event, changes: dict[str, Any]) -> Event:
    """The event with some fields changed: `attrs.evolve`, which is too slow for a million of them."""
    kind = type(event)
    return kind(**{name: getattr(event, name) for name in _NAMES[kind]} | changes)


def _remember(kept: dict[int, tuple[float, _Call | None]], xid: int, at: float, call: _Call | None) -> None:
    """Keep a transaction for a while, to find events that contradict it."""
    kept[xid] = at, call
    while (oldest := next(iter(kept))) != xid and kept[oldest][0] < at - REMEMBERED_SECONDS:
        del kept[oldest]


def _claim(source: _Source, event: Invoked) -> int | None:
    """The number of the claim that a call rests on."""
    if event.claim is not None and event.claim not in source.numbers:
        _refuse(
            f"call {event.call} of {event.client} rests on call {event.claim}, which is no claim before it",
            "an accepted claim, earlier in the same file",
            "The file is damaged, or put together of several",
        )
    return None if event.claim is None else source.numbers[event.claim]


def _time(event: Event) -> float:
    if event.at is None:
        _refuse(f"an event without `at`: {event}", "recorded events, with their time", "Give it one, or leave it out")
    return event.at


def _short(answer: Returned) -> int:
    """An answer's transaction number as the log has it: 32 bits, without the epoch."""
    assert answer.transaction is not None
    return answer.transaction % _XIDS


def _refuse(found: str, expected: str, remedy: str) -> NoReturn:
    message = f"the record does not fit together: found {found}; expected {expected}. {remedy}"
    raise NoVerdictError(message)
