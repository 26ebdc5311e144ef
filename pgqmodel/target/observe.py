"""Turning the rows of `observe.jobs` into the model's words, and refusing by name the values that have none."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NoReturn

from pgqmodel.errors import TargetError
from pgqmodel.history import Job
from pgqmodel.horizon import Far
from pgqmodel.operations import State
from pgqmodel.target.target import Target

__all__ = ["plain", "read_jobs", "read_state", "read_whole"]

_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_FINER = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
_CENTURIES_SECONDS = (946_684_800, 7_258_118_400)
"""The years 2000 to 2200: a number that means one of these in a finer unit is not meant as seconds."""


def read_jobs(rows: Iterable[Mapping[str, Any]], target: Target, zone: dt.tzinfo = dt.UTC) -> list[Job]:
    """The jobs in the rows of an observation, under the queue's own identifiers.

    `zone` is the time zone of the session that looked: as Postgres does, it says which moment a timestamp without time
    zone means. TargetError for a value that has no meaning, and for a job that is there twice.
    """
    jobs = [_read(row, target, zone) for row in rows]
    if len({job.job for job in jobs}) < len(jobs):
        message = (
            f"{target.source}: observe.jobs: found the same job in two rows; expected one row a job. "
            "Mend the query: a join may multiply its rows"
        )
        raise TargetError(message)
    return jobs


def read_state(word: Any, target: Target, query: str) -> State:
    """The state that one of the queue's own words stands for."""
    if not isinstance(word, str):
        _refuse(target, f"{query}: state", word, "a text that observe.states maps", "Cast it, such as state::text")
    key, own = "states", target.observe.run_states if query == "runs" else None
    state = target.observe.states.get(word)
    if own is not None:
        key, state = "run_states", own[word][0] if word in own else None
    if state is None:
        message = (
            f"{target.source}: observe.{query}: found the state {word!r}, which observe.{key} does not map; "
            f"expected it under one of {', '.join(State)}. Add the word there"
        )
        raise TargetError(message)
    return state


def read_whole(value: Any, target: Target, where: str) -> int:
    """A whole number, whatever type the column has; TargetError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float | decimal.Decimal) and math.isfinite(value) and value == int(value):
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return _refuse(target, where, value, "a whole number or NULL", "Mend the query")


def plain(value: Any, zone: dt.tzinfo = dt.UTC) -> Any:
    """A value that sorts here as it does in Postgres: times in seconds since the epoch, NaN with the infinite."""
    if value is None or isinstance(value, bool | int):
        return value
    convert = next((convert for kind, convert in _PLAIN.items() if isinstance(value, kind)), None)
    return convert(value, zone) if convert is not None else str(value)


def _read(row: Mapping[str, Any], target: Target, zone: dt.tzinfo) -> Job:
    job = row["job"]
    if job is None:
        _refuse(target, "jobs: job", job, "the job's identifier in every row", "Mend the query")
    found = {name: read(row[name], target, zone) for name, read in _COLUMNS.items() if row.get(name) is not None}
    return Job(
        job=str(job),
        state=read_state(row["state"], target, "jobs"),
        order={name: _sorted(target, name, plain(row[name], zone)) for name in target.named},
        **found,
    )


def _text(value: Any, target: Target, zone: dt.tzinfo) -> str:
    return str(value)


def _moment(name: str, value: Any, target: Target, zone: dt.tzinfo) -> float | None:
    """Seconds since the epoch; infinity for "not before somebody changes it", None for at once."""
    moment = isinstance(value, dt.date | decimal.Decimal | int | float | Far) and not isinstance(value, bool)
    seconds = plain(value, zone) if moment else None
    if isinstance(seconds, str) or seconds is None or value != value:  # noqa: PLR0124 - NaN alone differs from itself
        _refuse(
            target,
            f"jobs: {name}",
            value,
            "a timestamp, a date, seconds since the epoch, or NULL for at once",
            "Cast it, such as run_at::timestamptz",
        )
    first, last = _CENTURIES_SECONDS
    finer = next((unit for unit, parts in _FINER.items() if first * parts <= seconds < last * parts), None)
    if finer is not None and not isinstance(value, dt.date | Far):
        expected = f"seconds since the epoch; this looks like {finer}"
        _refuse(target, f"jobs: {name}", value, expected, f"Divide it, such as {name} / {_FINER[finer]:.1f}")
    return None if seconds == -math.inf else seconds


def _needs(value: Any, target: Target, zone: dt.tzinfo) -> tuple[str, ...]:
    if not isinstance(value, list) or any(job is None or isinstance(job, list | dict) for job in value):
        _refuse(target, "jobs: needs", value, "an array of jobs, or NULL", "Make it one, such as ARRAY[parent]")
    return tuple(str(job) for job in value)


def _number(name: str) -> Callable[[Any, Target, dt.tzinfo], int]:
    return lambda value, target, zone: read_whole(value, target, f"jobs: {name}")


_COLUMNS: dict[str, Callable[[Any, Target, dt.tzinfo], Any]] = {
    **dict.fromkeys(("holder", "unique_key", "run", "environment"), _text),
    **{name: _number(name) for name in ("attempt", "priority", "stage")},
    **{name: partial(_moment, name) for name in ("eligible_at", "lease_until")},
    "needs": _needs,
}


def _sorted(target: Target, name: str, value: Any) -> Any:
    """A value of a column, with its place before it where the place is not that of the word: an enum sorts so."""
    labels = target.enums.get(name)
    if labels is None or value is None:
        return value
    place = labels.index(value) if value in labels else len(labels)
    return f"{place:0{len(str(len(labels)))}} {value}"


def _of_decimal(value: decimal.Decimal, zone: dt.tzinfo) -> float:
    """Exact where it is whole; NaN sorts last in Postgres, with infinity but for a tie."""
    if value.is_nan():
        return math.inf
    return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)


def _of_moment(value: dt.datetime, zone: dt.tzinfo) -> float:
    return (value if value.tzinfo is not None else value.replace(tzinfo=zone)).timestamp()


def _of_far(value: Far, zone: dt.tzinfo) -> float | str:
    return str(value) if value.seconds is None else value.seconds


_PLAIN: dict[type, Callable[[Any, dt.tzinfo], Any]] = {
    Far: _of_far,
    str: lambda value, zone: value,
    float: lambda value, zone: math.inf if math.isnan(value) else value,
    decimal.Decimal: _of_decimal,
    dt.datetime: _of_moment,
    dt.date: lambda value, zone: dt.datetime.combine(value, dt.time(), zone).timestamp(),
    dt.timedelta: lambda value, zone: value.total_seconds(),
    bytes: lambda value, zone: value.hex(),
}
"""The first kind that fits is taken: a `Far` is a text, and a moment is a date."""


def _refuse(target: Target, where: str, value: Any, expected: str, remedy: str) -> NoReturn:
    found = "NULL" if value is None else f"{value!r:.60} ({type(value).__name__})"
    message = f"{target.source}: observe.{where}: found {found}; expected {expected}. {remedy}"
    raise TargetError(message)
