"""A trace: one finding as a value and as a file, with all that a replay and a report need, and no path of a machine.

Its text form is JSON; the same trace gives the same bytes. Reading is strict: a file that is not fully understood is
refused with a reason. Finding, replaying and rendering are in other modules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import field, fields, frozen

from pgqmodel import history, steps
from pgqmodel.errors import UsageError
from pgqmodel.history import Blocked, Event, Invoked, Observed
from pgqmodel.promises import ANOMALIES
from pgqmodel.steps import Step

__all__ = ["FORMAT", "Schema", "Trace", "loads"]

_FAMILY, _VERSION = "pgqmodel-trace", 1
FORMAT = f"{_FAMILY}/{_VERSION}"

_WANTED = "expected a trace.json that `pgqmodel check` wrote"
_KINDS: dict[type, str] = {str: "text", int: "a whole number", list: "a list", dict: "an object"}
_T = TypeVar("_T")


@frozen(kw_only=True)
class Schema:
    """The trace's database, for readers who build it again without the target.

    `setup` has pairs of label and SQL, `timestamps` the columns of each table that hold a time, `observe` the queries
    that show the queue, by name, with at least `jobs`, and `isolation` the level of each operation that sets one.
    """

    setup: tuple[tuple[str, str], ...]
    observe: Mapping[str, str]
    timestamps: Mapping[str, tuple[str, ...]] = field(factory=dict)
    isolation: Mapping[str, str] = field(factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The schema as JSON."""
        return {
            "setup": [{"label": label, "sql": sql} for label, sql in self.setup],
            "observe": dict(self.observe),
            "timestamps": {table: list(columns) for table, columns in self.timestamps.items()},
            "isolation": dict(self.isolation),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Schema:
        """Read the schema that `to_json` wrote; KeyError, TypeError or ValueError for anything else."""
        return cls(
            setup=tuple((_text(script["label"]), _text(script["sql"])) for script in record["setup"]),
            observe={name: _text(sql) for name, sql in record["observe"].items()},
            timestamps={table: _texts(columns) for table, columns in record["timestamps"].items()},
            isolation={name: _text(level) for name, level in record["isolation"].items()},
        )


@frozen(kw_only=True)
class Trace:
    """One finding: the schedule that leads to it, the history, and the explanation of the broken promise.

    `target` is the caller's name for the target, `name` the queue's own name. `fingerprint` shows whether the target
    has changed since. `job` is the job of the finding, if it has one. `operations` and `claim` name the culprit.
    `shrunk_steps` counts the steps beyond the enqueues. Traces of earlier versions lack the culprit, and the numbers of
    `producers` and `maintenance` clients, of which there was one each. The history has names for the
    values that the server made by chance, and `names` has these values; in an older trace the history has the values.
    `functions` names the function of each operation that is one; it is absent if there is none.
    """

    version: str
    target: str
    name: str
    fingerprint: str
    anomaly: str
    promise: str
    explanation: tuple[str, ...]
    job: str | None = None
    operations: tuple[str, ...] = ()
    claim: int | None = None
    postgres: str
    seed: int
    workers: tuple[str, ...]
    producers: int = 1
    maintenance: int = 1
    settings: Mapping[str, Any]
    steps: tuple[Step, ...]
    shrunk_steps: int
    history: tuple[Event, ...]
    schema: Schema
    names: Mapping[str, str] = field(factory=dict)
    functions: Mapping[str, str] = field(factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The trace as JSON, with its format first."""
        return {
            "format": FORMAT,
            **{name: _plain(getattr(self, name)) for name in self._kept},
            "steps": [step.to_json() for step in self.steps],
            "history": [history.to_json(event) for event in self.history],
            "schema": self.schema.to_json(),
        }

    @property
    def _kept(self) -> list[str]:
        """The names of its fields in a file."""
        named = [attribute.name for attribute in fields(Trace)]
        return named if self.functions else [name for name in named if name != "functions"]

    def dumps(self) -> str:
        """The trace as the text of a file."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Trace:
        """Read the trace that `to_json` wrote; ValueError with the reason for anything else."""
        missing, unknown = _READERS.keys() - record.keys() - _ADDED, record.keys() - _READERS.keys() - {"format"}
        if missing or unknown:
            listed = [*(f"no {key!r}" for key in sorted(missing)), *(f"an unknown {key!r}" for key in sorted(unknown))]
            raise ValueError("found " + ", ".join(listed))
        made = cls(**{key: _read(key, record[key]) for key in _READERS if key in record})
        if ANOMALIES[made.anomaly] != made.promise:
            message = f"found the promise {made.promise!r:.60}, which {made.anomaly!r} does not break"
            raise ValueError(message)
        return made


def loads(text: str, name: str) -> Trace:
    """The trace in the text of the file `name`; UsageError if it is no trace, or has a later format."""
    try:
        record = json.loads(text)
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.start + 1]
        message = f"{name}: found half a character, {half!a}; {_WANTED}, unchanged. Take it out, or get a new trace"
        raise UsageError(message) from error
    except RecursionError as error:
        message = f"{name}: found JSON that is nested too deep; {_WANTED}, unchanged. Run `pgqmodel check` again"
        raise UsageError(message) from error
    except ValueError as error:
        message = f"{name}: found text that is not JSON ({error}); {_WANTED}. Give the path that its output named"
        raise UsageError(message) from error
    _check_format(record, name)
    try:
        return Trace.from_json(record)
    except (ValueError, RecursionError) as error:
        message = f"{name}: {error}; {_WANTED}, unchanged. Run `pgqmodel check` again to get a new one"
        raise UsageError(message) from error


def _check_format(record: Any, name: str) -> None:
    found = record.get("format") if isinstance(record, dict) else None
    match = re.fullmatch(rf"{_FAMILY}/(\d{{1,9}})", found) if isinstance(found, str) else None
    if match is None:
        what = f"the format {found!r}" if found is not None else "JSON that names no format"
        message = f'{name}: found {what}; {_WANTED}, with "format": "{FORMAT}". Give the path that its output named'
        raise UsageError(message)
    if int(match[1]) != _VERSION:
        writer = record.get("version", "another version")
        message = (
            f"{name}: found the format {found!r}, written by pgqmodel {writer}; expected {FORMAT!r}, which is all "
            f"that this version reads. Install pgqmodel {writer}, or run `pgqmodel check` again with this one"
        )
        raise UsageError(message)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _read(key: str, value: Any) -> Any:
    try:
        return _READERS[key](value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        message = f"found a {key!r} that cannot be read ({reason})"
        raise ValueError(message) from error


def _text(value: Any) -> str:
    return _typed(str, value)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in _typed(list, value))


def _number(value: Any) -> int:
    if isinstance(value, bool):
        message = f"{value!r:.60} is not {_KINDS[int]}"
        raise TypeError(message)
    return _typed(int, value)


def _typed(kind: type[_T], value: Any) -> _T:
    if not isinstance(value, kind):
        message = f"{value!r:.60} is not {_KINDS[kind]}"
        raise TypeError(message)
    return value


def _anomaly(value: Any) -> str:
    if value not in ANOMALIES:
        message = f"{value!r:.60} is no anomaly that this version knows"
        raise ValueError(message)
    return _text(value)


def _each(read: Callable[[Any], _T]) -> Callable[[Any], tuple[_T, ...]]:
    """Make a reader of lists; its error has the number of the wrong item, counted from 1."""

    def read_all(values: Any) -> tuple[_T, ...]:
        items = []
        for number, value in enumerate(_typed(list, values), 1):
            try:
                items.append(read(value))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                reason = f"no {error}" if isinstance(error, KeyError) else str(error)
                message = f"item {number}: {reason}"
                raise ValueError(message) from error
        return tuple(items)

    return read_all


def _history(values: Any) -> tuple[Event, ...]:
    """Read the events of a history; their steps must ascend, and every call must be invoked before its other events."""
    events = _each(history.from_json)(values)
    step, invoked = 0, set()
    for number, event in enumerate(events, 1):
        if isinstance(event, Invoked):
            invoked.add(event.call)
        calls = event.by if isinstance(event, Observed) else [event.call] if hasattr(event, "call") else []
        unknown = [call for call in calls if (type(call) is not int or call not in invoked)]
        unknown = [] if type(event) is Blocked and event.call == 0 else unknown  # a program waits for no known call
        if event.step < step or unknown:
            wrong = (
                f"call {unknown[0]!r:.60}, which nobody invoked" if unknown else f"step {event.step} behind step {step}"
            )
            message = f"item {number}: {wrong}"
            raise ValueError(message)
        step = event.step
    return events


_READERS: dict[str, Callable[[Any], Any]] = {
    "version": _text,
    "target": _text,
    "name": _text,
    "fingerprint": _text,
    "anomaly": _anomaly,
    "promise": _text,
    "explanation": _texts,
    "job": lambda value: value if value is None else _text(value),
    "operations": _texts,
    "claim": lambda value: value if value is None else _number(value),
    "postgres": _text,
    "seed": _number,
    "workers": _texts,
    "producers": _number,
    "maintenance": _number,
    "settings": lambda value: _typed(dict, value),
    "steps": _each(steps.from_json),
    "shrunk_steps": _number,
    "history": _history,
    "schema": Schema.from_json,
    "names": lambda value: {name: _text(each) for name, each in _typed(dict, value).items()},
    "functions": lambda value: {name: _text(each) for name, each in _typed(dict, value).items()},
}
_ADDED = frozenset({"operations", "claim", "producers", "maintenance", "names", "functions"})
"""The fields that traces of earlier versions lack."""
