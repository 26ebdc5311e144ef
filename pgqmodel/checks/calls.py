"""Reads a history for the search: every call with its answer, sorted by job.

Refusals, errors and empty claims are left out: they changed nothing, and no promise forbids them by themselves. Lost
calls are left out, too, if no other answer can depend on their effect.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterator, Mapping, Sequence

from attrs import define, evolve, field, frozen

from pgqmodel.checks.sequential import HELPFUL, NEVER, TimedCall
from pgqmodel.errors import UsageError
from pgqmodel.history import Connected, Ended, Event, Invoked, Restarted, Returned
from pgqmodel.model.instants import Instants
from pgqmodel.operations import CANCEL, CLAIM, ENQUEUE, HEARTBEAT, OPERATIONS, RECLAIM, SETTLEMENTS, Status

__all__ = ["Case", "Reading", "read"]

NONE = range(1)
"""No lost claim is needed."""
_HOLDERS = frozenset({*SETTLEMENTS, HEARTBEAT.name})
_JUDGED = _HOLDERS | {ENQUEUE.name, CLAIM.name, CANCEL.name, RECLAIM.name}


@frozen(kw_only=True)
class Case:
    """One job: its own calls, plus lost calls that name no job and may have been about this one.

    `own` holds accepted calls, lost calls that name the job, and calls that may have taken it back. `claims_needed` is
    the number of `claims` that its attempt numbers require; None if they do not tell.
    """

    job: str
    own: tuple[TimedCall, ...]
    rests_on: frozenset[int] = frozenset()
    """The lost claims that accepted calls on this job rest on. They took this job and no other."""
    enqueues: tuple[TimedCall, ...] = ()
    claims: tuple[TimedCall, ...] = ()
    claims_needed: range | None = NONE


@define
class Reading:
    """A history's calls, sorted for the search."""

    of_jobs: dict[str, list[TimedCall]] = field(factory=dict)
    reclaims: list[TimedCall] = field(factory=list)
    enqueues: list[TimedCall] = field(factory=list)
    """Lost enqueues: each may have added one job of any name."""
    claims: dict[int, TimedCall] = field(factory=dict)
    """Lost claims: each may have taken one job."""

    def cases(self) -> list[Case]:
        """Each job by itself, in order of first appearance."""
        return [self._case(job, calls) for job, calls in self.of_jobs.items()]

    def _case(self, job: str, calls: Sequence[TimedCall]) -> Case:
        required = [call for call in calls if call.required]
        rests_on = frozenset(
            call.claim for call in required if call.operation in _HOLDERS and call.claim in self.claims
        )
        needed = _needed(calls, rests_on, self.claims)
        last = max((call.returned for call in required), default=-1.0)
        first = min((call.returned for call in required if call.operation != ENQUEUE.name), default=-1.0)
        added = any(call.operation == ENQUEUE.name and not call.keyed for call in required)
        resting = [self.claims[number] for number in sorted(rests_on)]
        lost = [] if needed == NONE else [call for call in self.claims.values() if call.invoked < last]
        claims = [call.invoked for call in (*calls, *resting, *lost) if call.operation == CLAIM.name]
        claimed = min(claims, default=last)
        reclaims = [call for call in self.reclaims if call.invoked < last and call.returned > claimed]
        return Case(
            job=job,
            own=(*calls, *resting, *reclaims),
            rests_on=rests_on,
            enqueues=() if added else tuple(call for call in self.enqueues if call.invoked < first),
            claims=tuple(call for call in lost if call.number not in rests_on),
            claims_needed=needed,
        )


def _needed(calls: Sequence[TimedCall], rests_on: frozenset[int], lost: Container[int]) -> range | None:
    """How many extra lost claims the attempt numbers require, as a range.

    Lost claims that accepted calls rest on are counted apart: each may fill a gap in the attempt numbers or not. Any
    other lost claim can explain only such a gap, because every later call would be accepted without it as well.
    """
    claims = [call for call in calls if call.operation == CLAIM.name]
    told = [call.attempt for call in claims if call.attempt is not None]
    bases = {call.claim for call in calls if call.operation in _HOLDERS}
    if None in bases or any(base in lost and base not in rests_on for base in bases) or 0 < len(told) < len(claims):
        return None
    if not told:
        return NONE
    gap = max(0, max(told) - len(claims))
    return range(max(0, gap - len(rests_on)), gap + 1)


def read(events: Sequence[Event]) -> Reading:
    """Sort a history's calls; UsageError if the events are no history."""
    reading = Reading()
    answers = _answers(events)
    places, starts = _places(events)
    ends = _ends(events, starts)
    for call in _named(list(_calls(events, answers, places)), ends, starts):
        if call.operation == RECLAIM.name and call.job is None:
            reading.reclaims.append(call)
        elif call.job is not None:
            reading.of_jobs.setdefault(call.job, []).append(call)
        elif call.operation == CLAIM.name and call.is_lost:
            reading.claims[call.number] = call
        elif call.operation == ENQUEUE.name:
            reading.enqueues.append(evolve(call, required=False, returned=NEVER))
    return reading


def _answers(events: Sequence[Event]) -> dict[int, tuple[int, Returned]]:
    """Each call's answer and its place; UsageError for one without a call."""
    begun: set[int] = set()
    answers: dict[int, tuple[int, Returned]] = {}
    for place, event in enumerate(events):
        if isinstance(event, Invoked):
            if event.call in begun:
                raise _wrong(event.step, f"call {event.call} begins a second time", "every call to have its own number")
            begun.add(event.call)
        elif isinstance(event, Returned):
            if event.call not in begun or event.call in answers:
                found = f"an answer to call {event.call}, which is not in flight"
                raise _wrong(event.step, found, "one answer at most to a call, after it began")
            answers[event.call] = (place, event)
    return answers


def _places(events: Sequence[Event]) -> tuple[list[int], list[int]]:
    """Each event's place, and the first place of its instant.

    Simultaneous events have no order, so at one instant all calls begin before any of them is answered. Without times
    the places are those in the record.
    """
    instants = Instants()
    numbers = [instants.number for event in events if instants.has_moved(event) or True]
    order = sorted(range(len(events)), key=lambda line: (numbers[line], type(events[line]) is Returned))
    places, starts = [0] * len(events), [0] * len(events)
    start = 0
    for place, line in enumerate(order):
        if place and numbers[order[place - 1]] != numbers[line]:
            start = place
        places[line], starts[line] = place, start
    return places, starts


def _wrong(step: int, found: str, expected: str) -> UsageError:
    message = f"Step {step} of the history: {found}; expected {expected}. Correct the history, or its recorder."
    return UsageError(message)


def _calls(
    events: Sequence[Event], answers: Mapping[int, tuple[int, Returned]], places: Sequence[int]
) -> Iterator[TimedCall]:
    """The calls that can have had an effect, in order of invocation."""
    for line, event in enumerate(events):
        if not isinstance(event, Invoked):
            continue
        if event.operation not in OPERATIONS:
            raise _wrong(event.step, f"an operation {event.operation!r}", f"one of {', '.join(OPERATIONS)}")
        returned, answer = answers.get(event.call, (0, None))
        lost = answer is None or answer.status is Status.UNKNOWN
        if event.operation not in _JUDGED or (lost and event.operation not in HELPFUL):
            continue
        if not lost and answer is not None and answer.status is not Status.OK:
            continue
        attempt = answer.row.get("attempt") if answer is not None else None
        yield TimedCall(
            number=event.call,
            client=event.client,
            operation=event.operation,
            invoked=places[line],
            returned=NEVER if lost else places[returned],
            asked=line,
            answered=NEVER if lost else returned,
            step=event.step,
            returned_step=None if lost or answer is None else answer.step,
            job=(answer.job if answer is not None and answer.job is not None else event.job),
            claim=event.claim,
            attempt=attempt if isinstance(attempt, int) else None,
            keyed=event.arguments.get("unique_key") is not None,
            required=not lost and event.operation != RECLAIM.name,
            began_at=event.at,
            over_at=_over_at(event, None if lost else answer),
        )


def _over_at(event: Invoked, answer: Returned | None) -> float | None:
    """The latest time at which a call can have taken effect; None if the history has no times."""
    if event.at is None:
        return None
    return NEVER if answer is None else answer.at


def _named(
    calls: Sequence[TimedCall], ends: Mapping[str | None, Sequence[int]], starts: Sequence[int]
) -> Iterator[TimedCall]:
    """Give a holder's call the job of its claim; mark claims that calls rest on, or whose session may have ended."""
    rested_on = {call.claim for call in calls if call.operation in _HOLDERS}
    jobs = {call.number: call.job for call in calls if call.operation == CLAIM.name}
    for call in calls:
        job = call.job
        if job is None and call.operation in _HOLDERS and call.claim is not None:
            job = jobs.get(call.claim)
        session_ends = None
        if call.operation == CLAIM.name:
            mine = (ends.get(call.client, ()), ends.get(None, ()))
            begun = starts[call.asked]
            over = [places[bisect_left(places, begun)] for places in mine if places and places[-1] >= begun]
            session_ends = min(over, default=None)
        yield evolve(call, job=job, rested_on=call.number in rested_on, session_ends=session_ends)


def _ends(events: Sequence[Event], starts: Sequence[int]) -> dict[str | None, list[int]]:
    """The earliest place where each session can have ended, by client; under None, the ends of all sessions at once.

    That is the place of the last call in the session, because the server may notice the end before it is recorded.
    """
    last: dict[str, int] = {}
    ends: dict[str | None, list[int]] = {}
    for place, event in enumerate(events):
        if isinstance(event, Invoked | Returned):
            last[event.client] = starts[place]
        elif isinstance(event, Ended | Connected) and event.client in last:
            ends.setdefault(event.client, []).append(last[event.client])
        elif isinstance(event, Restarted):
            ends.setdefault(None, []).append(starts[place])
    return ends
