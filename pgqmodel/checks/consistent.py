"""Checks that a history is possible: each call begins once, is answered at most once, and commits in between.

A history that contradicts itself has no verdict, so it is refused with the line where it does. No promise is judged
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import define, field

from pgqmodel.history import (
    Advanced,
    Blocked,
    Committed,
    Event,
    Invoked,
    Judged,
    Observed,
    Ran,
    Returned,
)
from pgqmodel.operations import OPERATIONS, Delivery, Status
from pgqmodel.promises import PROMISES, BadValueError
from pgqmodel.witness.merge import SLACK_SECONDS

__all__ = ["consistent"]

_UNKNOWN = Status.UNKNOWN


@define
class _Record:
    """The state after the lines so far: the open calls by number, and the values that must not decrease."""

    open: dict[int, Invoked] = field(factory=dict)
    """The calls that may still commit, also after their answer was lost."""
    begun: set[int] = field(factory=set)
    answered: set[int] = field(factory=set)
    timed: bool | None = None
    step: int = -1
    latest: float = 0.0
    repeated: str = ""
    """The message for the first step number that came twice. Only explored histories may have such steps."""
    explored: bool = False
    headed: bool = False


def consistent(events: Iterable[tuple[int, Event]]) -> Iterator[Event]:
    """Pass the events on, one by one; ValueError at the first that contradicts the events before it."""
    record, line = _Record(), 0
    for line, event in events:
        look = _LOOK.get(type(event))
        wrong = _placed(record, event, line) or (look(record, event, line) if look is not None else None)
        if wrong is not None:
            raise ValueError(_told(line, event, wrong))
        yield event
    if record.repeated and not record.explored:
        raise ValueError(record.repeated)
    if not line:
        message = "there is no event in it"
        raise ValueError(message)


def _told(line: int, event: Event, wrong: str) -> str:
    return f"line {line} ({event.kind}) cannot have happened: {wrong}"


def _placed(record: _Record, event: Event, line: int) -> str | None:
    """Steps ascend, and time does not run back."""
    timed, step = event.at is not None, event.step
    if type(event) is not Judged:
        if record.timed is None:
            record.timed = timed
        elif record.timed is not timed:
            return f"it has {'' if timed else 'no '}`at`; expected all events to have a time, or none"
    if step < record.step or (step == record.step and record.timed):
        return f"its step is {step}, after step {record.step}; expected steps that ascend"
    if step == record.step and not record.repeated:
        record.repeated = _told(line, event, f"its step is {step} once more; expected steps that ascend")
    record.step = step
    return None if event.at is None else _dated(record, event, event.at)


def _dated(record: _Record, event: Event, at: float) -> str | None:
    """Time is a number, and does not run back."""
    if not 0 <= at < float("inf"):
        return f"its time is {at!r}; expected seconds since the epoch"
    if type(event) in _COMMITS:
        return None
    if at < record.latest - SLACK_SECONDS:
        return f"its time is {at!r}, and {record.latest!r} was before; expected time not to run back"
    record.latest = max(record.latest, at)
    return None


def _invoked(record: _Record, event: Invoked, line: int) -> str | None:
    if event.call in record.begun:
        return f"call {event.call} has begun before; expected a number of its own for each call"
    if event.call < 0:
        return f"its call is {event.call}; expected a number from 0 on"
    if event.operation not in OPERATIONS:
        return f"there is no operation {event.operation!r}; expected one of {', '.join(OPERATIONS)}"
    if event.claim is not None and event.claim not in record.begun:
        return f"it rests on the claim of call {event.claim}, which never began; expected an earlier call"
    record.begun.add(event.call)
    record.open[event.call] = event
    return None


def _returned(record: _Record, event: Returned, line: int) -> str | None:
    if event.call in record.answered:
        return f"call {event.call} is over already; expected one answer to a call"
    wrong = _inside(record, event, line)
    if wrong is not None:
        return wrong
    began = record.open[event.call].at
    if event.at is not None and began is not None and event.at < began:
        return f"it is dated {event.at!r}, and its call began at {began!r}; expected an answer after its call"
    if event.status is not _UNKNOWN:
        del record.open[event.call]
    record.answered.add(event.call)
    return None


def _inside(record: _Record, event: Any, line: int) -> str | None:
    """The event belongs to a call that is in flight, and has the client of that call."""
    call = record.open.get(event.call)
    if call is None:
        over = "is over already" if event.call in record.begun else "never began"
        return f"call {event.call} {over}; expected a call in flight"
    if call.client != event.client:
        return f"call {event.call} is {call.client}'s; expected its own client, not {event.client}"
    return None


def _committed(record: _Record, event: Committed, line: int) -> str | None:
    wrong = _inside(record, event, line)
    if wrong is not None or event.at is None:
        return wrong
    began = record.open[event.call].at
    if began is not None and event.at < began - SLACK_SECONDS:
        return f"it is dated {event.at!r}, and its call began at {began!r}; expected a commit after that"
    return None


def _explored(record: _Record, event: Event, line: int) -> str | None:
    record.explored = True
    if record.timed:
        return "only explored histories have such events; expected none with `at`"
    return _inside(record, event, line) if isinstance(event, Ran) else None


def _observed(record: _Record, event: Observed, line: int) -> str | None:
    for call in event.by:
        if type(call) is not int or call not in record.begun:
            return f"it is by call {call!r:.60}, which never began; expected calls before it"
    for name, job in event.jobs.items():
        if job is not None and job.job != name:
            return f"the job {name!r} is called {job.job!r} inside; expected one name"
        if job is not None and job.attempt is not None and job.attempt < 0:
            return f"the attempt of {name!r} is {job.attempt}; expected a number from 0 on"
    return None


def _judged(record: _Record, event: Judged, line: int) -> str | None:
    if record.timed is not None or record.headed:
        return "what a history is judged by is said before; expected it in the first event, once"
    record.headed = True
    unknown = sorted(event.promises.keys() - PROMISES.keys())
    if unknown:
        return f"there is no promise {unknown[0]!r}; expected some of {', '.join(PROMISES)}"
    for name, value in event.promises.items():
        try:
            if value:
                PROMISES[name].value.read(value)
        except BadValueError as error:
            return f"{name} is {error}"
    if not all(isinstance(column, str) for column in event.moments):
        return f"moments is {list(event.moments)!r:.60}; expected a list of columns, by name"
    return _wrong_setting(event.settings)


def _wrong_setting(settings: Mapping[str, Any]) -> str | None:
    """What is wrong with a setting, or None."""
    for name in ("heartbeat_timeout_seconds", "max_attempts"):
        value = settings.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            return f"the setting {name} is {value!r:.60}; expected a number above 0"
    delivery = settings.get("delivery")
    if delivery is not None and delivery not in tuple(Delivery):
        return f"the setting delivery is {delivery!r:.60}; expected one of {', '.join(Delivery)}"
    return None


_COMMITS = frozenset({Committed, Observed})
"""Events with the server's time stamp. A commit takes its stamp before its place in the log, so it may be earlier
than the stamps around it."""
_LOOK: dict[type[Event], Callable[[_Record, Any, int], str | None]] = {
    Invoked: _invoked,
    Returned: _returned,
    Committed: _committed,
    Ran: _explored,
    Advanced: _explored,
    Blocked: _inside,
    Observed: _observed,
    Judged: _judged,
}
