"""A history: the events in their order. World and judge share nothing else.

Events are values (`events`). Their only text form is JSON Lines (`render`, `parse`; `parse(render(h)) == h`), described
in docs/history.md. Reading is strict: an unknown or missing field, or one of a wrong type, is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

from attrs import NOTHING, Attribute, fields

from pgqmodel.events import (
    COMMIT,
    EVENTS,
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
    Job,
    Judged,
    Observed,
    Ran,
    Restarted,
    Returned,
    Working,
)
from pgqmodel.operations import Lease, State, Status

__all__ = [
    "COMMIT",
    "EVENTS",
    "Advanced",
    "Blocked",
    "Committed",
    "Connected",
    "Deadlocked",
    "Draining",
    "Ended",
    "Event",
    "Executed",
    "Invoked",
    "Job",
    "Judged",
    "Observed",
    "Ran",
    "Restarted",
    "Returned",
    "Working",
    "from_json",
    "parse",
    "read_lines",
    "render",
    "to_json",
    "to_line",
]


# -- writing -----------------------------------------------------------------------------------------------------------


def _defaults(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    """The fields of a class with their defaults."""
    return tuple((attribute.name, _default(attribute)) for attribute in fields(kind))


def _default(attribute: Attribute[Any]) -> Any:
    make_default = getattr(attribute.default, "factory", None)
    return make_default() if make_default else attribute.default


_FIELDS = {kind: _defaults(kind) for kind in (*EVENTS.values(), Job)}


def render(events: Iterable[Event]) -> str:
    """The history as text: one JSON object in each line; fields with default values are left out."""
    return "".join(map(to_line, events))


def to_line(event: Event) -> str:
    """One event as a line of text."""
    return json.dumps(to_json(event), ensure_ascii=False) + "\n"


def to_json(event: Event) -> dict[str, Any]:
    """One event as a JSON object."""
    record = {"event": event.kind, **_set_fields(event)}
    if "jobs" in record:
        record["jobs"] = {name: row and _set_fields(row) for name, row in record["jobs"].items()}
    return record


def _set_fields(value: Event | Job) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    found = {}
    for name, default in _FIELDS[type(value)]:
        said = getattr(value, name)
        if said != default:
            found[name] = _listed(said)
    for name in _MOMENTS:
        if type(found.get(name)) is dict:
            found[name] = found[name][_NUMBER_IN_WORDS]  # this field never holds a text
    return found


def _listed(value: Any) -> Any:
    """A value with lists for tuples and texts for enumerations, as JSON has it."""
    if isinstance(value, tuple | list):
        return [_listed(part) for part in value]
    if isinstance(value, dict):
        return {name: _listed(part) for name, part in value.items()}
    if type(value) is float and value in _INFINITE:
        return {_NUMBER_IN_WORDS: _INFINITE[value]}
    return value.value if isinstance(value, StrEnum) else value


_MOMENTS = ("eligible_at", "lease_until")
_INFINITE = {float("inf"): "infinity", float("-inf"): "-infinity"}
"""JSON has no infinite numbers (RFC 8259), so they are written in Postgres' words."""
_NUMBER_IN_WORDS = "number"
"""The key of an object that stands for an infinite number, in fields that may also hold a text."""


# -- reading -----------------------------------------------------------------------------------------------------------

_TEXT = frozenset({str})
_NUMBER = frozenset({int, float})
_NUMBERS = {word: number for number, word in _INFINITE.items()}
_NONE = type(None)
_TYPES: dict[str, tuple[frozenset[type], str]] = {
    **dict.fromkeys(("client", "worker", "operation", "sql", "tag", "status", "victim", "target"), (_TEXT, "a text")),
    **dict.fromkeys(("state", "line", "answer"), (_TEXT, "a text")),
    **dict.fromkeys(("step", "call"), (frozenset({int}), "a whole number")),
    **dict.fromkeys(("open", "snapshot", "crashed", "over"), (frozenset({bool}), "true or false")),
    **dict.fromkeys(("by", "cycle", "parameters", "needs", "moments", "also", "leases"), (frozenset({list}), "a list")),
    **dict.fromkeys(("jobs", "runs", "environments", "logs"), (frozenset({dict}), "an object")),
    **dict.fromkeys(("arguments", "row", "promises", "settings", "order"), (frozenset({dict}), "an object")),
    **dict.fromkeys(("seconds", "now", "ahead"), (_NUMBER, "a number")),
    "at": (_NUMBER | {_NONE}, "a number or null"),
    **dict.fromkeys(_MOMENTS, (_NUMBER | {_NONE, str}, 'a number, "infinity", "-infinity" or null')),
    **dict.fromkeys(
        ("claim", "attempt", "priority", "stage", "transaction"), (frozenset({int, _NONE}), "a whole number or null")
    ),
    **dict.fromkeys(
        ("job", "error", "poison", "holder", "unique_key", "run", "environment"), (_TEXT | {_NONE}, "a text or null")
    ),
}
"""The JSON types for each field; a field's name means the same in every event."""
_STATES = {state.value: state for state in State}
_STATUSES = {status.value: status for status in Status}
LINE_CHARACTERS_MAX = 64 * 1024 * 1024
"""The largest length of a line. A longer one is no event: its writer does not end its lines."""


def parse(text: str) -> list[Event]:
    """Read the history that `render` wrote; ValueError with the line's number for other text."""
    return [event for _, event in read_lines(text.splitlines())]


def read_lines(lines: Iterable[str | bytes]) -> Iterator[tuple[int, Event]]:
    """Read events from lines of text, one by one, with their line numbers; ValueError with the number of a wrong line.

    Lines with only white space are skipped.
    """
    scan = json.JSONDecoder(parse_constant=_constant).scan_once  # type: ignore[attr-defined]
    for number, line in enumerate(lines, 1):
        try:
            if len(line) > LINE_CHARACTERS_MAX:
                message = f"it is longer than {LINE_CHARACTERS_MAX:,} characters"
                raise ValueError(message)  # noqa: TRY301 - every reason ends in the same sentence
            try:
                record, end = scan(line, 0)  # five times as fast as `loads`, for a line that is exactly one object
            except (StopIteration, TypeError):
                record, end = None, -1
            if end != len(line):
                if not line.strip():
                    continue
                record = json.loads(line, parse_constant=_constant)
            if any(mark in line for mark in _HALVES[type(line)]):
                json.dumps(record, ensure_ascii=False).encode()
            event = _event(record)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            message = (
                f"line {number} of the history is not an event: {_reason(error)}; expected one JSON object with `event`"
            )
            raise ValueError(message) from error
        yield number, event


_HALVES: dict[type, Any] = {str: ("\\ud", "\\uD"), bytes: (b"\\ud", b"\\uD")}
"""How the escape of a surrogate begins. Two matching halves are one character; a single half is no text."""


def _constant(word: str) -> float:
    """The value of a number that JSON does not have, but that some programs write, as our earlier versions did."""
    if word == "NaN":
        message = "NaN is no number"
        raise ValueError(message)
    return float(word)


def _reason(error: Exception) -> str:
    """The reason why a line is no event, as a clause."""
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON ({error.msg} at character {error.pos + 1})"
    if isinstance(error, UnicodeEncodeError):
        return f"it has half a character, {error.object[error.start]!a}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return f"{error}" if type(error) is ValueError else f"{error!r}"


def from_json(record: Mapping[str, Any]) -> Event:
    """The event in a JSON object; ValueError with the fault if it is none."""
    return _event(dict(record) if type(record) is dict else record)


def _event(record: Any) -> Event:
    """The event in a JSON object, which is changed on the way: the caller must not need it."""
    if type(record) is not dict:
        message = f"it is a {type(record).__name__}"
        raise ValueError(message)
    name = record.pop("event", None)
    kind = EVENTS.get(name) if type(name) is str else None
    if kind is None:
        message = f"no {name!r} among the events {', '.join(EVENTS)}"
        raise ValueError(message)
    for name, convert in _looked_at(kind, record):
        record[name] = convert(record[name])
    return kind(**record)


def _looked_at(kind: type[Any], given: Mapping[str, Any]) -> _Conversions:
    """The conversions for an object's fields, after the fields were checked.

    A history has few shapes (names of fields with their types), so each shape is examined only once.
    """
    shape = (kind, *given, *map(type, given.values()))
    found = _SHAPES.get(shape)
    if found is None:
        _check(given, kind)
        found = tuple((name, convert) for name, convert in _CONVERT[kind] if name in given)
        if len(_SHAPES) < _SHAPES_MAX:
            _SHAPES[shape] = found
    return found


def _check(given: Mapping[str, Any], kind: type[Any]) -> None:
    """Raise ValueError unless the object has all needed fields of the class, no others, and each with its type."""
    allowed = _ALLOWED[kind]
    for name, value in given.items():
        types = allowed.get(name)
        if types is None:
            message = f"{_called(kind)} has no field {name!r}; it has {', '.join(allowed)}"
            raise ValueError(message)
        if type(value) not in types:
            message = f"{name!r} of {_called(kind)} is {value!r:.60}; expected {_TYPES[name][1]}"
            raise ValueError(message)
    if not _NEEDED[kind] <= given.keys():
        missing = sorted(_NEEDED[kind] - given.keys())
        message = f"{_called(kind)} lacks {', '.join(map(repr, missing))}"
        raise ValueError(message)


def _called(kind: type[Any]) -> str:
    return f"the event `{kind.kind}`" if issubclass(kind, Event) else "a job"


def _job(row: Any) -> Job | None:
    if row is None:
        return None
    if type(row) is not dict:
        message = f"a job is {row!r:.60}; expected an object or null"
        raise ValueError(message)
    given = dict(row)
    for name, convert in _looked_at(Job, row):
        given[name] = convert(row[name])
    return Job(**given)


def _state(value: Any) -> Any:
    found = _STATES.get(value) if value is not None else None
    if found is None and value is not None:
        message = f"there is no state {value!r}; expected one of {', '.join(_STATES)}"
        raise ValueError(message)
    return found


def _moment(name: str, value: Any) -> Any:
    """A moment, which may be infinite."""
    if type(value) is not str:
        return value
    found = _NUMBERS.get(value)
    if found is None:
        message = f"{name!r} of a job is {value!r:.60}; expected {_TYPES[name][1]}"
        raise ValueError(message)
    return found


def _numbered(values: dict[str, Any]) -> dict[str, Any]:
    """The values of columns, with infinite numbers in place of their words."""
    if not any(type(value) is dict for value in values.values()):
        return values
    return {name: _number_of(value) if type(value) is dict else value for name, value in values.items()}


def _number_of(value: dict[str, Any]) -> Any:
    word = value.get(_NUMBER_IN_WORDS)
    return _NUMBERS.get(word, value) if type(word) is str and len(value) == 1 else value


def _lease(value: Any) -> Lease:
    if value not in tuple(Lease):
        message = f"there is no lease {value!r:.60}; expected one of {', '.join(Lease)}"
        raise ValueError(message)
    return Lease(value)


def _status(value: str) -> Status:
    found = _STATUSES.get(value)
    if found is None:
        message = f"there is no status {value!r}; expected one of {', '.join(_STATUSES)}"
        raise ValueError(message)
    return found


_Conversions = tuple[tuple[str, Callable[[Any], Any]], ...]
_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "parameters": tuple,
    "needs": tuple,
    "moments": tuple,
    "state": _state,
    **{name: partial(_moment, name) for name in _MOMENTS},
    "also": tuple,
    "leases": lambda leases: tuple(map(_lease, leases)),
    "order": _numbered,
    "environments": _numbered,
    "by": tuple,
    "cycle": tuple,
    "status": _status,
    "jobs": lambda jobs: {name: _job(row) for name, row in jobs.items()},
    "runs": lambda runs: {name: _state(state) for name, state in runs.items()},
    "logs": lambda logs: {job: tuple((number, line) for number, line in lines) for job, lines in logs.items()},
}
_KINDS: tuple[type[Any], ...] = (*EVENTS.values(), Job)
_ALLOWED = {kind: {each.name: _TYPES[each.name][0] for each in fields(kind)} for kind in _KINDS}
_NEEDED = {kind: {each.name for each in fields(kind) if each.default is NOTHING} for kind in _KINDS}
_CONVERT = {
    kind: tuple((each.name, _FROM_JSON[each.name]) for each in fields(kind) if each.name in _FROM_JSON)
    for kind in _KINDS
}
_SHAPES: dict[tuple[Any, ...], _Conversions] = {}
"""The conversions for each shape that was checked before; a shape is a class with fields and their types."""
_SHAPES_MAX = 4096
"""The number of shapes that are remembered, so that a strange history cannot fill the memory."""
