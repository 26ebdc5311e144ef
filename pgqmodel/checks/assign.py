"""Gives lost calls out to jobs: a lost claim has taken at most one job, and a lost enqueue has added at most one.

Jobs are judged one by one; only here several are looked at together. An earlier lost call can do all that a later one
can. So each need of a job has a deadline (the latest call that is early enough), and the earliest deadline is served
first (Jackson 1955). If a job's needs cannot be expressed by deadlines, every way to give the calls out is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from attrs import define, evolve, field, frozen

from pgqmodel.checks.calls import Case
from pgqmodel.checks.sequential import TimedCall
from pgqmodel.operations import CLAIM, ENQUEUE

__all__ = ["Share", "Shortage", "able", "share"]

Holds = Callable[[Case, tuple[TimedCall, ...]], bool]
"""Tells whether a job's answers can be explained with these lost calls."""


@frozen(kw_only=True)
class Shortage:
    """More jobs need a lost call than such calls can have served: the jobs, the calls, and their operation."""

    operation: str
    cases: tuple[Case, ...]
    calls: tuple[TimedCall, ...]


@frozen(kw_only=True)
class _Slot:
    """A job's need for one lost call; `last` is the place of the latest of `calls` that is early enough."""

    case: Case
    calls: tuple[TimedCall, ...]
    last: int


@define
class Share:
    """The lost calls that one job needs."""

    case: Case
    holds: Holds
    enqueues: int = 0
    claims: int = 0
    slots: dict[str, list[_Slot]] = field(factory=dict)

    def measure(self) -> None:
        """Find the number of lost calls that it needs, and the deadline of each while the others are early."""
        case = self.case
        assert case.claims_needed is not None, "deadlines need a number"
        self.claims = case.claims_needed.start
        early = _earliest(case.claims, self.claims)
        self.enqueues = int(not self.holds(case, early))
        before = _earliest(case.enqueues, self.enqueues)
        if self.enqueues:
            last = _latest(case.enqueues, lambda call: self.holds(case, (*early, call)))
            self.slots[ENQUEUE.name] = [_Slot(case=case, calls=case.enqueues, last=last)]
        self.slots[CLAIM.name] = []
        for place in range(self.claims):
            others, later = early[:place], self.claims - place

            def serves(call: TimedCall, others: tuple[TimedCall, ...] = others, later: int = later) -> bool:
                return self.holds(case, (*before, *others, *[_free(call)] * later))

            last = _latest(case.claims, serves)
            self.slots[CLAIM.name].append(_Slot(case=case, calls=case.claims, last=last))


def able(case: Case) -> tuple[TimedCall, ...]:
    """The strongest lost calls that this job could have had."""
    claims = case.claims if case.claims_needed is None else _earliest(case.claims, max(case.claims_needed))
    return (*_earliest(case.enqueues, 1), *claims)


def _earliest(calls: Sequence[TimedCall], count: int) -> tuple[TimedCall, ...]:
    """`count` lost calls that began before all others, so that no real lost call can do more."""
    return tuple(_free(evolve(call, invoked=-1)) for call in [*calls[:1]] * count)


def _free(call: TimedCall) -> TimedCall:
    """The call, with a session that may end at once: no lost claim that began at this time or later can do more."""
    return evolve(call, session_ends=call.invoked if call.operation == CLAIM.name else None)


def _latest(calls: Sequence[TimedCall], serves: Callable[[TimedCall], bool]) -> int:
    """The place of the latest call that serves, found by bisection: earlier calls can do all that later ones can."""
    low, high = 0, len(calls)
    while low < high:
        middle = (low + high) // 2
        if serves(calls[middle]):
            low = middle + 1
        else:
            high = middle
    return calls[low - 1].invoked if low else -1


def share(cases: Sequence[Case], holds: Holds) -> Shortage | None:
    """Give lost calls out to jobs; return the shortage, or None if every job gets what it needs."""
    reserved = {number for case in cases for number in case.rests_on}
    for number in sorted(reserved):
        resting = [case for case in cases if number in case.rests_on]
        if len(resting) > 1:
            calls = tuple(call for call in resting[0].own if call.number == number)
            return Shortage(operation="settle", cases=tuple(resting), calls=calls)
    free = [evolve(case, claims=tuple(call for call in case.claims if call.number not in reserved)) for case in cases]
    shares = [Share(case, holds) for case in free if not holds(case, ())]
    if all(one.case.claims_needed is not None and len(one.case.claims_needed) == 1 for one in shares):
        given: dict[str, list[TimedCall]] = {one.case.job: [] for one in shares}
        for one in shares:
            one.measure()
        for operation in (ENQUEUE.name, CLAIM.name):
            slots = [slot for one in shares for slot in one.slots.get(operation, ())]
            shortage = _serve(operation, sorted(slots, key=lambda slot: slot.last), given)
            if shortage is not None:
                return shortage
        if all(holds(one.case, tuple(given[one.case.job])) for one in shares):
            return None
    if _any_way([one.case for one in shares], holds, frozenset()):
        return None
    every = {call.number: call for one in shares for call in (*one.case.enqueues, *one.case.claims)}
    return Shortage(operation=CLAIM.name, cases=tuple(one.case for one in shares), calls=tuple(every.values()))


def _serve(operation: str, slots: Sequence[_Slot], given: dict[str, list[TimedCall]]) -> Shortage | None:
    """Give each slot the earliest call that is left; slots with the earliest deadlines come first."""
    used: set[int] = set()
    for place, slot in enumerate(slots):
        free = [call for call in slot.calls if call.number not in used and call.invoked <= slot.last]
        if not free:
            short = {one.case.job: one.case for one in slots[: place + 1]}
            able = {call.number: call for one in slots[: place + 1] for call in one.calls if call.invoked <= slot.last}
            return Shortage(operation=operation, cases=tuple(short.values()), calls=tuple(able.values()))
        used.add(free[0].number)
        given[slot.case.job].append(free[0])
    return None


def _any_way(cases: Sequence[Case], holds: Holds, used: frozenset[int]) -> bool:
    """Whether there is a way to give the lost calls out; tries all ways."""
    if not cases:
        return True
    case, *rest = cases
    for calls in _choices(case, used):
        if holds(case, calls) and _any_way(rest, holds, used | {call.number for call in calls}):
            return True
    return False


def _choices(case: Case, used: frozenset[int]) -> Iterator[tuple[TimedCall, ...]]:
    enqueues = [call for call in case.enqueues if call.number not in used]
    claims = [call for call in case.claims if call.number not in used]
    for count in range(len(claims) + 1) if case.claims_needed is None else case.claims_needed:
        for chosen in combinations(claims, count):
            yield chosen
            yield from ((*chosen, enqueue) for enqueue in enqueues)
