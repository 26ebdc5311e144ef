"""Searches an order of one job's calls that explains all answers: linearizability of one object.

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
"""The number of points between two looks at the clock."""
REACHED_MAX = 2_000_000
"""The number of points at which one search gives up, so that memory is bounded."""
_KEPT_MAX = 200


@define(kw_only=True)
class Budget:
    """The time for all searches, and the number of points explored so far."""

    clock: Callable[[], float]
    ends_at: float
    explored: int = 0
    over: bool = False

    def spend(self) -> bool:
        """Count one point; False when time is over."""
        self.explored += 1
        return not self.over if self.explored % _EVERY else self.look()

    def look(self) -> bool:
        """Look at the clock; False when time is over."""
        self.over = self.over or self.clock() >= self.ends_at
        return not self.over


@frozen(kw_only=True)
class SearchResult:
    """The result of a search: `held` is None if it was given up.

    `failed` is the answer that no order explains, `reached` are the possible states of the job before it, `order` is
    the longest order up to there, or the whole order if it held.
    """

    held: bool | None
    order: tuple[TimedCall, ...] = ()
    failed: TimedCall | None = None
    reached: tuple[JobLife, ...] = ()


@define(kw_only=True)
class _Search:
    """One job's calls, and the points that were reached: each with the point before it and the call in between."""

    calls: Sequence[TimedCall]
    specification: Specification
    stops: list[int] = field(factory=list)
    open: list[int] = field(factory=list)
    """For each answer, the calls (as bits) that may take effect right before it."""
    prior: list[int] = field(factory=list)
    """For each call, the bit of an equal lost call that must be used first."""
    before: list[int] = field(factory=list)
    """For each call, the bits of its client's earlier calls, if times overlap and only the lines give the order."""
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
        """The points that can follow a point, with the call in between; the likeliest one comes last."""
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
            # The end of a session needs no mark: the claim that it ends is never current again.
            mark = 0 if call.operation == SESSION_END else 1 << number
            after = (stop + 1, done, then) if number == answer else (stop, done | mark, then)
            if then == life:
                # A call that changes nothing can come now: any order that has it later can have it here.
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
        """Search until every answer is explained, nothing is left to try, or time is over."""
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
        """The answer at which the search failed, with the orders that use the fewest lost calls."""
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
        """The calls that took effect on the way to a point, in order."""
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
    """Find an order of one job's calls that explains every answer, or the first answer that no order explains."""
    if not budget.look():
        return SearchResult(held=None)
    every = sorted([*calls, *_endings(calls)], key=lambda call: call.invoked)
    laid_out = _Search(calls=every, specification=specification)
    laid_out.prepare()
    return laid_out.run(budget, explored_max or REACHED_MAX)


def _own_orders(calls: Sequence[TimedCall]) -> Iterator[int]:
    """For each call, as bits, its client's required calls that were answered before it although their times overlap."""
    mine: dict[str, list[int]] = {}
    for number, call in enumerate(calls):
        if call.required and call.operation != SESSION_END:
            mine.setdefault(call.client, []).append(number)
    for call in calls:
        own = mine.get(call.client, ()) if not call.is_lost else ()
        earlier = [one for one in own if calls[one].answered < call.asked and calls[one].returned > call.invoked]
        yield sum(1 << one for one in earlier)


def _kind(call: TimedCall) -> object:
    """A key: lost calls with the same key differ only in their begin, so the earlier one can do all the later can."""
    return call.operation, call.claim, call.keyed, call.session_ends, call.number if call.rested_on else None


def _endings(calls: Iterable[TimedCall]) -> Iterator[TimedCall]:
    """A call for the end of each session in which a claim was made; it may release the claim."""
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
