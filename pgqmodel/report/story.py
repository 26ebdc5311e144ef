"""A trace as a story: a row for each step, a cell for each client, and the state of the database. Words, no layout.

Every renderer for people uses this. Code stands in backticks; a renderer keeps or drops them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from pgqmodel.cast import role_of
from pgqmodel.history import (
    COMMIT,
    Advanced,
    Blocked,
    Committed,
    Connected,
    Deadlocked,
    Draining,
    Ended,
    Event,
    Executed,
    Invoked,
    Observed,
    Ran,
    Restarted,
    Returned,
    Working,
)
from pgqmodel.moments import seems_moment, tell_moment
from pgqmodel.naming import names_in
from pgqmodel.operations import FINAL, HEARTBEAT, OPERATIONS, Role, Status
from pgqmodel.phrases import often
from pgqmodel.report.changes import CHANGES, claimed
from pgqmodel.report.clocks import clock_words
from pgqmodel.report.program_story import is_quiet, lines_of, quiet_words, unit_words, working_words
from pgqmodel.report.sql_text import counted_rows, gist, shortened
from pgqmodel.steps import Advance, Crash, Cut, CutLine, Deadlock, Drain, End, Go, Kill, Restart, Step
from pgqmodel.trace import Trace

__all__ = ["HELD", "LOST", "WAITS", "Row", "Story", "span", "tell"]

HELD, LOST, WAITS = "COMMIT held", "answer lost", "waits for"
_WORLD = ""
"""The key of the cell for the database, which belongs to no client."""

_ANSWERS: dict[Status, str] = {
    Status.OK: "accepted",
    Status.EMPTY: "nothing",
    Status.REFUSED: "refused",
    Status.ERROR: "failed with error {error}",
    Status.UNKNOWN: LOST,
}


def _answer(operation: str, event: Returned) -> str:
    """The end of a call, in the operation's own words or the common ones; a trace may name an unknown operation."""
    known = OPERATIONS.get(operation)
    words = (known.answers if known is not None else {}).get(event.status, _ANSWERS[event.status])
    return words.format(job=", ".join((str(event.job), *event.also)), error=event.error)


@frozen(kw_only=True)
class Row:
    """The events of a step, or of several steps that changed nothing (`first` to `last`). `clock` is in seconds."""

    first: int
    last: int
    clock: float
    cells: Mapping[str, tuple[str, ...]] = field(factory=dict)
    shows: tuple[str, ...] = ()


@frozen(kw_only=True)
class Story:
    """The rows, and the clients that act in them: producers first, maintenance last."""

    clients: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def time_moves(self) -> bool:
        """Whether time passes in the story, so that a clock is shown."""
        return any(row.clock for row in self.rows)

    def says(self, words: str) -> bool:
        """Whether a cell has these words."""
        return any(words in phrase for row in self.rows for cell in row.cells.values() for phrase in cell)

    def names(self, trace: Trace, values: Mapping[str, str]) -> dict[str, str]:
        """The names that a reader of the story of a trace meets, with their values."""
        cells = (cell for row in self.rows for cell in (*row.cells.values(), row.shows))
        return names_in("\n".join([*(phrase for cell in cells for phrase in cell), *trace.explanation]), values)


def tell(trace: Trace, *, brief: bool = False) -> Story:
    """The story of a trace; `brief` leaves out the statements of uninterrupted calls."""
    teller = _Teller(trace=trace, brief=brief)
    rows = [row for number in teller.numbers() if (row := teller.row(number)) is not None]
    if rows:
        rows[-1] = evolve(rows[-1], shows=(*rows[-1].shows, f"=> {trace.anomaly}"))
    acting = {client for row in rows for client in row.cells}
    return Story(clients=tuple(sorted(acting, key=_place)), rows=tuple(_folded(rows, teller.drained)))


def span(row: Row) -> str:
    """The numbers of a row's steps."""
    return str(row.first) if row.first == row.last else f"{row.first}-{row.last}"


def _place(client: str) -> tuple[int, str]:
    """The sort key of a client's column: producers, workers, maintenance."""
    return (list(Role).index(role_of(client)), client)


@define(kw_only=True)
class _Teller:
    """Walks through a history once, step by step, and keeps the last state of the database."""

    trace: Trace
    brief: bool
    by_step: dict[int, list[Event]] = field(init=False, factory=dict)
    calls: dict[int, Invoked] = field(init=False, factory=dict)
    shown: dict[str, dict[str, Any]] = field(init=False, factory=dict)
    clocks: dict[str, float] = field(init=False, factory=dict)
    """The clients whose clock is off and who have done nothing yet, and by how much it is ahead."""
    open: set[str] = field(init=False, factory=set)
    blocked: set[str] = field(init=False, factory=set)
    clock: float = 0.0
    start: float | None = None
    """The first moment of the story."""
    lines: dict[str, set[str]] = field(init=False)
    """The connections of each program."""
    drained: dict[int, Counter[tuple[str, str]]] = field(init=False, factory=dict)
    _draining: bool = False
    _cells: dict[str, list[str]] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self.lines = lines_of(self.trace.history)
        for event in self.trace.history:
            self.by_step.setdefault(event.step, []).append(event)

    def numbers(self) -> Iterable[int]:
        """The numbers of the steps, with those without an event; 0 is the state before."""
        return range(max(self.by_step, default=-1) + 1)

    def row(self, number: int) -> Row | None:
        """The row of one step; None for step 0."""
        events = self.by_step.get(number, [])
        self._cells = {}
        step = self._step(number)
        if step is not None and step.is_told:
            self._say(step.client, step.words)
        for event in events:
            _TELL[type(event)](self, event)
        self._tell_quiet(events)
        self._tell_standing(number)
        if not events and step is not None and not step.is_told:
            self._say(step.client, Go.words)
        shows = tuple(self._cells.pop(_WORLD, ()))
        if number == 0:
            return None
        cells = {client: tuple(phrases) for client, phrases in self._cells.items()}
        if self._draining and not any(isinstance(event, (Observed, Draining)) for event in events):
            self.drained[number] = _summed(self, events)
        return Row(first=number, last=number, clock=self.clock, cells=cells, shows=shows)

    def _say(self, client: str, phrase: str) -> None:
        self._cells.setdefault(client, []).append(phrase)

    def _step(self, number: int) -> Step | None:
        """The step of the schedule with this number; None if the drain chose it."""
        return self.trace.steps[number - 1] if 0 < number <= len(self.trace.steps) and not self._draining else None

    def _tell_standing(self, number: int) -> None:
        """Tell where the clients of this step wait at its end, if they are in the middle of a call."""
        last = {event.client: event for event in self.by_step.get(number, []) if hasattr(event, "client")}
        for client, event in last.items():
            later = self._next(client, number)
            if isinstance(event, Invoked):
                self._say(client, "held before its first statement")
            elif isinstance(event, Ran) and event.snapshot:
                self._say(client, "held before it looks for rows")
            elif isinstance(event, Ran) or (isinstance(event, Executed) and event.open):
                self._say(client, HELD if _commits(later) else "held, its transaction open")

    def _next(self, client: str, number: int) -> Event | None:
        """A client's next event after a step."""
        later = (event for event in self.trace.history if event.step > number)
        return next((event for event in later if getattr(event, "client", None) == client), None)

    def _invoked(self, event: Invoked) -> None:
        self.calls[event.call] = event
        if event.line and event.operation == HEARTBEAT.name:
            return
        if event.client in self.clocks:
            self._say(event.client, f"({clock_words(self.clocks.pop(event.client))})")
        details = [f"{name} {value}" for name, value in event.arguments.items() if name != "job" and value is not None]
        job = [event.job] if event.job else []
        self._say(event.client, " ".join([f"**{event.operation}**", *job, *details]))

    def _ran(self, event: Ran) -> None:
        if (self.brief and self._is_whole(event)) or (event.snapshot and self._runs_at_once(event)):
            return
        again = "goes on: " if event.client in self.blocked else ""
        shorten = gist if self.brief else shortened
        result = f"error {event.error}" if event.error else counted_rows(event.tag)
        told = "takes its snapshot" if event.snapshot else result
        self._say(event.client, f"{again}`{shorten(event.sql)}`: {told}")
        self.blocked.discard(event.client)
        (self.open.add if event.open else self.open.discard)(event.client)

    def _executed(self, event: Executed) -> None:
        step = self.by_step[event.step]
        (self.open.add if event.open else self.open.discard)(event.client)
        at = next(place for place, other in enumerate(step) if other is event)
        same = [other for other in step[:at] if isinstance(other, Executed) and other.line == event.line and other.open]
        if is_quiet(event, step) or (event.sql == COMMIT and same):
            return
        several = len(self.lines[event.client]) > 1
        self._say(event.client, unit_words(event, several=several, brief=self.brief))

    def _tell_quiet(self, events: Sequence[Event]) -> None:
        """Tell how many statements of programs a step leaves out."""
        quiet = Counter(event.client for event in events if isinstance(event, Executed) and is_quiet(event, events))
        for client, number in quiet.items():
            self._say(client, quiet_words(number))

    def _working(self, event: Working) -> None:
        self._say(event.client, working_words(event))

    def _runs_at_once(self, event: Ran) -> bool:
        """Whether a statement runs in the same step in which it takes its snapshot."""
        same = [other for other in self.by_step[event.step] if isinstance(other, Ran) and other.call == event.call]
        return same[-1] is not event

    def _is_whole(self, event: Ran) -> bool:
        """Whether the whole call of a unit, with its end, lies in one step."""
        call = [other for other in self.trace.history if getattr(other, "call", None) == event.call]
        steps, last = {other.step for other in call}, call[-1]
        return len(steps) == 1 and isinstance(last, Returned) and last.status is not Status.UNKNOWN

    def _blocked(self, event: Blocked) -> None:
        self.blocked.add(event.client)
        self._say(event.client, f"{WAITS} {', '.join(event.by)}" if event.by else "waits")

    def _committed(self, event: Committed) -> None:
        if self.calls[event.call].line:
            return  # its COMMIT is told as a unit of the program
        self.open.discard(event.client)
        ran = [other for other in self.by_step[event.step] if isinstance(other, Ran) and other.call == event.call]
        ended = any(isinstance(other, Ended) and other.client == event.client for other in self.by_step[event.step])
        if not ran or ended:
            self._say(event.client, "COMMIT")

    def _observed(self, event: Observed) -> None:
        for query, tell_change in CHANGES.items():
            before = self.shown.setdefault(query, {})
            for key, found in getattr(event, query).items():
                value = tell_moment(found, self.start) if seems_moment(found, self.start) else found
                self._cells.setdefault(_WORLD, []).extend(tell_change(key, before.get(key), value))
                before[key] = value

    def _returned(self, event: Returned) -> None:
        call = self.calls[event.call]
        if event.status is Status.UNKNOWN or (call.line and call.operation == HEARTBEAT.name):
            return
        self._say(event.client, _answer(call.operation, event))

    def _ended(self, event: Ended) -> None:
        kind: type[Step] = Crash if event.crashed else Cut
        if event.client in self.lines:
            killed = isinstance(self._step(event.step), Kill)
            kind = Kill if killed else End if event.crashed else CutLine
            words = kind.words.format(line=event.line)
            self._say(event.client, _ENDS if kind is End else words)
        else:
            self._say(event.client, kind.words + self._fate(event))
        self.open.discard(event.client)
        self.blocked.discard(event.client)

    def _fate(self, event: Ended) -> str:
        """The fate of the call in flight, if there was one."""
        same = [other for other in self.by_step[event.step] if getattr(other, "client", None) == event.client]
        if any(isinstance(other, Committed) for other in same):
            return f", {LOST}"
        if event.client in self.blocked:
            return " while it waits"
        if event.client in self.open:
            return ", transaction rolled back"
        return ", request lost" if any(isinstance(other, Returned) for other in same) else ""

    def _connected(self, event: Connected) -> None:
        if event.client in self.lines:
            return  # the step says that the program starts
        if event.ahead:
            self.clocks[event.client] = event.ahead
        crashed = any(isinstance(other, Ended) and other.crashed for other in self.by_step[event.step])
        name = f" under the name {event.worker}" if event.worker != event.client else ""
        self._say(event.client, f"starts anew{name}" if crashed else f"connects{name}")

    def _advanced(self, event: Advanced) -> None:
        self.start = event.now if self.start is None else self.start
        if event.seconds:
            self.clock += event.seconds
            self._say(_WORLD, Advance.words.format(seconds=event.seconds))

    def _deadlocked(self, event: Deadlocked) -> None:
        self._say(_WORLD, Deadlock.words.format(cycle=", ".join(event.cycle), victim=event.victim))

    def _restarted(self, event: Restarted) -> None:
        self.open.clear()
        self.blocked.clear()
        self._say(_WORLD, Restart.words)

    def _drains(self, event: Draining) -> None:
        self._draining = not event.over
        if not event.over:
            poison = f"; {event.poison} fails every time" if event.poison else ""
            self._say(_WORLD, f"{Drain.words}{poison}")
            return
        for name, job in self.shown.get("jobs", {}).items():
            if job is not None and job.state not in FINAL:
                self._say(_WORLD, f"{name}: still {claimed(job)}")


_ENDS = "its process **ends**"


def _commits(event: Event | None) -> bool:
    """Whether a client's next event is the COMMIT that was held."""
    return isinstance(event, Committed) or (isinstance(event, Executed) and event.sql == COMMIT)


_TELL: dict[type[Event], Callable[[_Teller, Any], None]] = {
    Invoked: _Teller._invoked,
    Ran: _Teller._ran,
    Executed: _Teller._executed,
    Working: _Teller._working,
    Blocked: _Teller._blocked,
    Committed: _Teller._committed,
    Observed: _Teller._observed,
    Returned: _Teller._returned,
    Ended: _Teller._ended,
    Connected: _Teller._connected,
    Advanced: _Teller._advanced,
    Deadlocked: _Teller._deadlocked,
    Restarted: _Teller._restarted,
    Draining: _Teller._drains,
}


def _summed(teller: _Teller, events: Sequence[Event]) -> Counter[tuple[str, str]]:
    """The calls of a drain's step that changed nothing, to be added up with its neighbours."""
    sums: Counter[tuple[str, str]] = Counter()
    for event in events:
        if isinstance(event, Returned):
            call = teller.calls[event.call]
            sums[event.client, f"**{call.operation}**: {_answer(call.operation, event)}"] += 1
    return sums


def _folded(rows: Sequence[Row], drained: Mapping[int, Counter[tuple[str, str]]]) -> Iterable[Row]:
    """The rows; rows of a drain that changed nothing are joined."""
    quiet: list[Row] = []
    for row in rows:
        if row.first in drained:
            quiet.append(row)
            continue
        yield from _taken_together(quiet, drained)
        quiet = []
        yield row
    yield from _taken_together(quiet, drained)


def _taken_together(rows: Sequence[Row], drained: Mapping[int, Counter[tuple[str, str]]]) -> Iterable[Row]:
    if len(rows) < 2:
        yield from rows
        return
    sums = sum((drained[row.first] for row in rows), Counter[tuple[str, str]]())
    cells: dict[str, list[str]] = {}
    for (client, phrase), times in sums.items():
        cells.setdefault(client, []).append(f"{phrase}, {often(times)}" if times > 1 else phrase)
    marks = [phrase for row in rows for phrase in row.shows if not phrase.endswith(" s pass")]
    yield Row(
        first=rows[0].first,
        last=rows[-1].last,
        clock=rows[-1].clock,
        cells={client: tuple(phrases) for client, phrases in cells.items()},
        shows=("nothing changes, while time goes on", *marks),
    )
