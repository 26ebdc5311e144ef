"""The search for one job's order of calls that explains all answers: linearizability of one object.

An order explains a history if it keeps real time (a call that was answered before another began stands before it) and
if each answer is the one that the sequential specification gives. To try every order takes factorial time. Three known
ideas make it practical:

- Wing and Gong (1993): go through the history, and at each point try only the calls that are open there.
- Lowe (2017), just in time: a call takes effect no sooner than an answer needs it, its own or one that cannot be
  explained without it. An order that has it earlier is equal to one that has it there.
- Porcupine (Athalye 2017), after Lowe: remember each point that was reached. A point is the number of the answer, the
  open calls that have had their effect (as bits), and the state of the job. The future depends on nothing else, so a
  point that led nowhere is never tried twice.

Three cuts follow from the specification. A call that changes nothing is taken at once: any order that has it later is
also one that has it now. Of equal calls whose answers were lost, the earlier one is used first. A lost call may take
effect at any time after it began, or never, so an order need not contain it.

Points are values, and the points that are still to be tried stand on a stack: to go back is to take the next one, and
nothing has to be undone. The search is exponential in the worst case. Time and the number of points are bounded, and a
search that is given up says neither "held" nor "broken".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import define, field, frozen

from pgqmodel.checks.sequential import UNBORN, JobLife, Specification, TimedCall
from pgqmodel.model.transitions import SESSION_END

__all__ = ["Budget", "SearchResult", "search"]

Point = tuple[int, int, JobLife]
_EVERY = 128
"""How many points are explored between two looks at the clock."""
REACHED_MAX = 2_000_000
"""Where one search gives up, so that memory is bounded."""
_KEPT_MAX = 200


@define(kw_only=True)
class Budget:
    """The time that there is, and how much has been explored in it."""

    clock: Callable[[], float]
    ends_at: float
    explored: int = 0
    over: bool = False

    def spend(self) -> bool:
        """Count one point; false once time is over."""
        self.explored += 1
        return not self.over if self.explored % _EVERY else self.look()

    def look(self) -> bool:
        """Look at the clock; false once time is over."""
        self.over = self.over or self.clock() >= self.ends_at
        return not self.over


@frozen(kw_only=True)
class SearchResult:
    """What came of a search: `held` is None if it was given up.

    `failed` is the answer that no order explains, `reached` what the job can have been before it, `order` the longest
    order up to there (or the whole one).
    """

    held: bool | None
    order: tuple[TimedCall, ...] = ()
    failed: TimedCall | None = None
    reached: tuple[JobLife, ...] = ()


@define(kw_only=True)
class _Search:
    """One job's calls, and where the search has been: each point with the one it was reached from and by which call."""

    calls: Sequence[TimedCall]
    specification: Specification
    stops: list[int] = field(factory=list)
    open: list[int] = field(factory=list)
    """For each answer: the calls, as bits, that may take effect right before it."""
    prior: list[int] = field(factory=list)
    """For each call: the bit of an equal one that is to be used first."""
    before: list[int] = field(factory=list)
    """For each call: the bits of its client's calls before it, where only their lines say so."""
    seen: dict[Point, tuple[Point, int | None] | None] = field(factory=dict)
    farthest: list[Point] = field(factory=list)

    def prepare(self) -> None:
        """Lay out the answers up to the last one that needs an explanation."""
        last = max((call.returned for call in self.calls if call.required), default=-1)
        answered = [number for number, call in enumerate(self.calls) if call.returned <= last]
        self.stops = sorted(answered, key=lambda number: self.calls[number].returned)
        begun = in_flight = 0
        for stop in self.stops:
            while begun < len(self.calls) and self.calls[begun].invoked < self.calls[stop].returned:
                in_flight |= 1 << begun
                begun += 1
            self.open.append(in_flight)
            in_flight &= ~(1 << stop)
        latest: dict[object, int] = {}
        for number, call in enumerate(self.calls):
            key = _kind(call) if call.is_lost else None
            self.prior.append(1 << latest[key] if key in latest else 0)
            if key is not None:
                latest[key] = number
        self.before = list(_own_orders(self.calls))

    def nexts(self, point: Point) -> Iterator[tuple[Point, int | None]]:
        """Where it can go on from a point, the likeliest last."""
        stop, done, life = point
        answer = self.stops[stop]
        if done >> answer & 1:
            yield (stop + 1, done & ~(1 << answer), life), None
            return
        own: Point | None = None
        found: list[tuple[Point, int | None]] = []
        for number in _bits(self.open[stop] & ~done):
            call = self.calls[number]
            if self.prior[number] & ~done or self.before[number] & self.open[stop] & ~done:
                continue
            then = self.specification.after(life, call)
            if then is None or (then == life and not call.required):
                continue
            # A session's end needs no mark: the claim it ends is never current again.
            mark = 0 if call.operation == SESSION_END else 1 << number
            after = (stop + 1, done, then) if number == answer else (stop, done | mark, then)
            if then == life:
                # What changes nothing may come at once: any order that has it later is one that has it now.
                yield after, number
                return
            if number == answer:
                own = after
            else:
                found.append((after, number))
        yield from found
        if own is not None:
            yield own, answer
        if not self.calls[answer].required:
            yield (stop + 1, done, life), None

    def run(self, budget: Budget, explored_max: int) -> SearchResult:
        """Go on until everything is explained, or nothing is left to try, or time is over."""
        start: Point = (0, 0, UNBORN)
        stack = [start]
        self.seen[start] = None
        while stack:
            point = stack.pop()
            if point[0] == len(self.stops):
                return SearchResult(held=True, order=self._order(point))
            if not budget.spend() or len(self.seen) > explored_max:
                return SearchResult(held=None)
            self._note(point)
            for after, number in self.nexts(point):
                if after not in self.seen:
                    self.seen[after] = (point, number)
                    stack.append(after)
        return self._failure()

    def _failure(self) -> SearchResult:
        """The answer that the search failed at, told by the orders that presume the least of lost calls."""
        orders = [(self._order(point), point[2]) for point in self.farthest]
        presumed = [sum(call.is_lost for call in order) for order, _ in orders]
        least = [one for one, lost in zip(orders, presumed, strict=True) if lost == min(presumed)]
        return SearchResult(
            held=False,
            order=max((order for order, _ in least), key=len),
            failed=self.calls[self.stops[self.farthest[0][0]]],
            reached=tuple(dict.fromkeys(life for _, life in least)),
        )

    def _note(self, point: Point) -> None:
        if self.farthest and point[0] > self.farthest[0][0]:
            self.farthest.clear()
        if not self.farthest or (point[0] == self.farthest[0][0] and len(self.farthest) < _KEPT_MAX):
            self.farthest.append(point)

    def _order(self, point: Point) -> tuple[TimedCall, ...]:
        """The calls that took effect on the way to a point."""
        order = []
        step = self.seen[point]
        while step is not None:
            before, number = step
            if number is not None:
                order.append(self.calls[number])
            step = self.seen[before]
        return tuple(reversed(order))


def search(
    calls: Sequence[TimedCall], specification: Specification, budget: Budget, explored_max: int | None = None
) -> SearchResult:
    """An order of one job's calls that explains every answer, or the first answer that none explains."""
    if not budget.look():
        return SearchResult(held=None)
    every = sorted([*calls, *_endings(calls)], key=lambda call: call.invoked)
    laid_out = _Search(calls=every, specification=specification)
    laid_out.prepare()
    return laid_out.run(budget, explored_max or REACHED_MAX)


def _own_orders(calls: Sequence[TimedCall]) -> Iterator[int]:
    """For each call, as bits, the required ones that its client had answered before, if both overlap by times."""
    mine: dict[str, list[int]] = {}
    for number, call in enumerate(calls):
        if call.required and call.operation != SESSION_END:
            mine.setdefault(call.client, []).append(number)
    for call in calls:
        own = mine.get(call.client, ()) if not call.is_lost else ()
        earlier = [one for one in own if calls[one].answered < call.asked and calls[one].returned > call.invoked]
        yield sum(1 << one for one in earlier)


def _kind(call: TimedCall) -> object:
    """What makes two lost calls equal, but for when they began: the earlier can do whatever the later can."""
    return call.operation, call.claim, call.keyed, call.session_ends, call.number if call.rested_on else None


def _endings(calls: Iterable[TimedCall]) -> Iterator[TimedCall]:
    """The ends of the sessions that claims were made in: from then on each may be released."""
    for call in calls:
        if call.session_ends is not None:
            yield TimedCall(
                number=call.number,
                client=call.client,
                operation=SESSION_END,
                invoked=call.session_ends,
                step=call.step,
                claim=call.number,
            )


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
