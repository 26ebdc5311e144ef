"""Whether a history can have happened at all: calls are begun once, answered once at most, and commit in between.

What contradicts itself has no verdict, so it is refused with the place where it does. Judges no promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import define, field

from pgqmodel.history import Blocked, Committed, Event, Invoked, Judged, Observed, Ran, Returned
from pgqmodel.operations import OPERATIONS, Status
from pgqmodel.promises import PROMISES

__all__ = ["consistent"]

_UNKNOWN = Status.UNKNOWN


@define
class _Calls:
    """The calls that are not over, by number: their client."""

    open: dict[int, str] = field(factory=dict)
    last: int = 0
    begun: set[int] = field(factory=set)
    timed: bool | None = None


def consistent(events: Iterable[Event]) -> Iterator[Event]:
    """The events one by one; ValueError at the first that contradicts those before it."""
    calls, number = _Calls(), 0
    for number, event in enumerate(events, 1):
        look = _LOOK.get(type(event))
        wrong = look(calls, event, number) if look is not None else None
        if wrong is None and type(event) is not Judged:
            if calls.timed is None:
                calls.timed = event.at is not None
            elif calls.timed is not (event.at is not None):
                wrong = "it has no `at` and events before it have" if calls.timed else "it has `at` and others have not"
        if wrong is not None:
            message = f"event {number} ({event.kind}) cannot have happened: {wrong}"
            raise ValueError(message)
        yield event
    if not number:
        message = "there is no event in it"
        raise ValueError(message)


def _invoked(calls: _Calls, event: Invoked, number: int) -> str | None:
    if event.call in calls.begun:
        return f"call {event.call} has begun before; expected a number of its own for each call"
    if event.operation not in OPERATIONS:
        return f"there is no operation {event.operation!r}; expected one of {', '.join(OPERATIONS)}"
    calls.begun.add(event.call)
    calls.open[event.call] = event.client
    return None


def _returned(calls: _Calls, event: Returned, number: int) -> str | None:
    wrong = _inside(calls, event, number)
    if wrong is None and event.status is not _UNKNOWN:
        del calls.open[event.call]
    return wrong


def _inside(calls: _Calls, event: Any, number: int) -> str | None:
    """A call is in flight, and its client's."""
    client = calls.open.get(event.call)
    if client is None:
        over = "is over already" if event.call in calls.begun else "never began"
        return f"call {event.call} {over}; expected a call in flight"
    if client != event.client:
        return f"call {event.call} is {client}'s; expected its own client, not {event.client}"
    return None


def _observed(calls: _Calls, event: Observed, number: int) -> str | None:
    for call in event.by:
        if call not in calls.begun:
            return f"it is by call {call}, which never began"
    for name, job in event.jobs.items():
        if job is not None and job.job != name:
            return f"the job {name!r} is called {job.job!r} inside"
    return None


def _judged(calls: _Calls, event: Judged, number: int) -> str | None:
    if number != 1:
        return "what a history is judged by is its first event, once"
    unknown = sorted(event.promises.keys() - PROMISES.keys())
    if unknown:
        return f"there is no promise {unknown[0]!r}; expected some of {', '.join(PROMISES)}"
    order = event.promises.get("claim-order")
    if order and not (isinstance(order, tuple) and all(_is_column(each) for each in order)):
        return f'claim-order is {order!r:.60}; expected pairs such as ["priority", "desc"]'
    limit = event.promises.get("live-limit")
    if limit and not (isinstance(limit, dict) and limit.keys() == {"column", "limit"}):
        return f'live-limit is {limit!r:.60}; expected an object such as {{"column": "environment", "limit": 1}}'
    for name in ("heartbeat_timeout_seconds", "max_attempts"):
        value = event.settings.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            return f"the setting {name} is {value!r:.60}; expected a number"
    return None


def _is_column(pair: Any) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and pair[1] in {"asc", "desc"}


_LOOK: dict[type[Event], Callable[[_Calls, Any, int], str | None]] = {
    Invoked: _invoked,
    Returned: _returned,
    Committed: _inside,
    Ran: _inside,
    Blocked: _inside,
    Observed: _observed,
    Judged: _judged,
}
