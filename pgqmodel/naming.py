"""The story's names for values that the server made by chance: J1 for a job's key, "token 1", "stamp 1". Pure.

A key that is drawn at random tells a reader nothing, and is another one the next time. So a trace has names in the
order of their appearance, and one table that says what they were. Two histories are the same story if they are the same
by their names. What tells drawn values is their look: the server does not say where a value comes from. So small
numbers and words stay as they are, whoever made them, and a fence that counts reads as it always did.

A story's times begin where those of the embedded server do. A server that is not ours has the time of its machine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any, TypeVar

from attrs import evolve

from pgqmodel.events import Advanced, Event, Invoked, Job, Observed, Ran
from pgqmodel.horizon import HORIZON_SECONDS, START_SECONDS
from pgqmodel.moments import seems_moment, without_ticks

__all__ = ["Naming", "differences", "names_in", "values_back"]

_DRAWN = re.compile(
    r"""
      (?P<stamp> \b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)? )
    | (?P<uuid>  \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b )
    | (?P<hex>   (?:\\x|\b)(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{16,}\b )
    | (?P<whole> \b\d{12,}\b )
    | (?P<part>  \b\d+\.\d{9,}\b )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:\\x)?[0-9a-f]{32}", re.IGNORECASE)
_BYTES = re.compile(r"\\x([0-9a-f]{16})")
"""How earlier versions wrote a timestamp: microseconds since 2000."""
_CENTURY_SECONDS = 946_684_800
_OPAQUE = re.compile(r"(?=(?:[^0-9]*[0-9]){3})(?=(?:[^A-Za-z]*[A-Za-z]){3})[A-Za-z0-9+/_=-]{16,}")
"""A text of no words: Base64, a ULID, and the like."""
_NAME = re.compile(r"\b(?:J|token |stamp )\d+\b")
_WHOLE_MIN = 10**11
_ROUND_SECONDS = 0.01
"""Deadlines are tried a millisecond apart, so the moments of a story are whole seconds but for a few of these."""
_T = TypeVar("_T")


class Naming:
    """Names the values of one history. `values` has what each name stands for, in the order of appearance."""

    def __init__(self, identifiers: Mapping[str, str]) -> None:
        """`identifiers` are the queue's own for the jobs of the story; a plain one, such as a number, stays."""
        self.values: dict[str, str] = {}
        self._keys = {name: key for name, key in identifiers.items() if _is_drawn(key)}
        self._names: dict[str, str] = {_bare(key): name for name, key in self._keys.items()}
        self._given: set[str] = set()
        self._start: float | None = None
        self._shift = 0.0
        keys = "|".join(map(re.escape, sorted(self._keys.values(), key=len, reverse=True)))
        self._pattern = re.compile(f"(?P<key>{keys})|{_DRAWN.pattern}", _DRAWN.flags) if keys else _DRAWN

    def history(self, events: Iterable[Event]) -> tuple[Event, ...]:
        """The history with names for values."""
        listed = tuple(events)
        start = next((event.now for event in listed if isinstance(event, Advanced)), None)
        if start is not None:
            self._start, self._shift = start, START_SECONDS - start
        return tuple(self._event(event) for event in listed)

    def text(self, words: str) -> str:
        """A sentence with the names of values that the history has; others stay."""
        for name, value in sorted(self.values.items(), key=lambda named: -len(named[1])):
            words = words.replace(value, name)
        return words

    def _event(self, event: Event) -> Event:
        if isinstance(event, Invoked):
            self._given |= {value for value in event.arguments.values() if isinstance(value, str)}
        elif isinstance(event, Ran) and event.parameters:
            return evolve(event, parameters=tuple(map(self._value, event.parameters)))
        elif isinstance(event, Advanced) and self._shift:
            return evolve(event, now=self._moved(event.now))
        elif isinstance(event, Observed):
            return self._observed(event)
        return event

    def _observed(self, event: Observed) -> Event:
        for name in event.jobs:
            if name in self._keys:
                self.values.setdefault(name, self._keys[name])
        return evolve(
            event,
            jobs={name: self._job(job) if job is not None else None for name, job in event.jobs.items()},
            runs={self._words(run): state for run, state in event.runs.items()},
            environments={self._words(name): self._column(value) for name, value in event.environments.items()},
            logs={
                job: tuple((number, self._words(line)) for number, line in lines) for job, lines in event.logs.items()
            },
        )

    def _job(self, job: Job) -> Job:
        return evolve(
            job,
            holder=self._words(job.holder),
            unique_key=self._words(job.unique_key),
            run=self._words(job.run),
            environment=self._words(job.environment),
            eligible_at=self._moved(job.eligible_at),
            lease_until=self._moved(job.lease_until),
            order={name: self._column(value) for name, value in job.order.items()},
        )

    # -- values ----------------------------------------------------------------------------------------------------

    def _moved(self, moment: _T) -> _T:
        """A moment on the time of stories."""
        if not self._shift or not isinstance(moment, float | int) or not self._is_near(moment):
            return moment  # what lies far off is a date that somebody wrote
        return round(moment + self._shift, 6)  # type: ignore[return-value]

    def _is_near(self, moment: float) -> bool:
        """Whether a moment may be one of the story."""
        return self._start is not None and abs(moment - self._start) <= HORIZON_SECONDS

    def _column(self, value: Any) -> Any:
        """A value that the database shows: a moment stays one, so that it sorts and is told in seconds."""
        return self._moved(value) if seems_moment(value, self._start) else self._value(value)

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._words(value)
        if isinstance(value, tuple | list):
            return type(value)(map(self._value, value))
        if isinstance(value, dict):
            return {key: self._value(part) for key, part in value.items()}
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return self._words(str(value)) if is_number and _looks_drawn(value) else value

    def _words(self, words: _T) -> _T:
        """A text with names in place of what was drawn; what a client gave is no chance."""
        if not isinstance(words, str) or words in self._given:
            return words
        if (time := _BYTES.fullmatch(words)) and self._is_near(int(time[1], 16) / 1e6 + _CENTURY_SECONDS):
            return self._name(words, "stamp")  # type: ignore[return-value]
        if _OPAQUE.fullmatch(words) and _DRAWN.search(words) is None:
            return self._name(words, "token")  # type: ignore[return-value]
        return self._pattern.sub(self._found, words)  # type: ignore[return-value]

    def _found(self, match: re.Match[str]) -> str:
        return self._name(match[0], "stamp" if match["stamp"] else "token")

    def _name(self, value: str, kind: str) -> str:
        name = self._names.get(_bare(value))
        if name is None:
            name = f"{kind} {sum(known.startswith(kind) for known in self.values) + 1}"
            self._names[_bare(value)] = name
        self.values.setdefault(name, value)
        return name


def _bare(value: str) -> str:
    """A value in one form: a uuid is shown with its dashes and may be sent as its digits or as bytes."""
    return value.replace("-", "").removeprefix("\\x").lower() if _UUID.fullmatch(value) else value


def _is_drawn(key: str) -> bool:
    return _DRAWN.search(key) is not None or _OPAQUE.fullmatch(key) is not None


def _looks_drawn(value: float) -> bool:
    """Whether a number has more digits than anybody counts to."""
    if isinstance(value, int):
        return abs(value) >= _WHOLE_MIN
    return math.isfinite(value) and _DRAWN.search(f"{value!r}") is not None


def differences(recorded: Iterable[Event], seen: Iterable[Event]) -> Iterable[tuple[Event | None, Event | None]]:
    """The pairs of events of two named histories that a story would not tell alike, each at one place."""
    return (pair for pair in zip_longest(recorded, seen) if _as_told(pair[0]) != _as_told(pair[1]))


def _as_told(event: Event | None) -> Event | None:
    """An event as a story tells it."""
    if not isinstance(event, Observed):
        return event
    return evolve(
        event,
        jobs={name: job and _job_as_told(job) for name, job in event.jobs.items()},
        environments={name: _moment_as_told(value) for name, value in event.environments.items()},
    )


def _job_as_told(job: Job) -> Job:
    return evolve(
        job,
        eligible_at=_moment_as_told(job.eligible_at),
        lease_until=_moment_as_told(job.lease_until),
        order={name: _moment_as_told(value) for name, value in job.order.items()},
    )


def _moment_as_told(value: Any) -> Any:
    """A moment without the ticks that statements take: another server's clock may have none.

    One that is far from any whole second was drawn, as a backoff with jitter is, and any other may stand for it.
    """
    if type(value) is not float or not abs(value - START_SECONDS) <= HORIZON_SECONDS:
        return value
    plain = without_ticks(value)
    return plain if abs(plain - round(plain)) <= _ROUND_SECONDS else math.nextafter(START_SECONDS, math.inf)


def names_in(words: str, names: Mapping[str, str]) -> dict[str, str]:
    """The names that a text tells, with what they stand for: a drain may have a stamp for each of its statements."""
    told = set(_NAME.findall(words))
    return {name: value for name, value in names.items() if name in told}


def values_back(value: Any, names: Mapping[str, str]) -> Any:
    """A value of a named history as it was: with what its names stood for."""
    if not isinstance(value, str):
        return value
    return _NAME.sub(lambda match: names.get(match[0], match[0]), value)
