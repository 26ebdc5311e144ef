"""Reads the script of a job from its payload: strict, by one table. Pure; `runner` runs it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from attrs import frozen

from pgqmodel.errors import JobFailedError

__all__ = ["Deploy", "JobScript", "read_script"]

SECONDS_MAX = 86_400.0
LINES_MAX = 10_000_000
BYTES_MAX = 64 << 20
TRIES_MAX = 1_000_000


@frozen(kw_only=True)
class Deploy:
    """A deploy: the number of tries for the lock, the pause between them, and the time to hold the lock."""

    tries: int = 1
    wait: float = 0.1
    seconds: float = 0.0


@frozen(kw_only=True)
class JobScript:
    """The script of a job. Everything is off by default: an empty payload is a job that is done at once.

    `seconds` is the whole time of the job, `busy` the CPU time that it burns first, which blocks its thread. `junk`
    makes lines of random bytes, `wide` lines of characters of up to four bytes; with `stamp` each line has the time of
    writing, as `@` and seconds since the epoch. The first `fail_times` attempts fail, with `fail` all do; with `retry`
    they give the job back instead, for another attempt at once.
    """

    seconds: float = 0.0
    busy: float = 0.0
    lines: int = 0
    lines_per_second: float = math.inf
    line_bytes: int = 0
    junk: bool = False
    wide: bool = False
    stamp: bool = False
    fail_times: int = 0
    fail: bool = False
    retry: bool = False
    deploy: Deploy | None = None


def read_script(payload: Any) -> JobScript:
    """The script in a payload; JobFailedError for an unknown key or a wrong value."""
    if payload is None:
        return JobScript()
    return JobScript(**_read(payload, _SCRIPT, ""))


def _read(table: Any, known: Mapping[str, Callable[[str, Any], Any]], where: str) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        _refuse(where.removesuffix(".") or "the payload", table, f"an object with some of {', '.join(known)}")
    for key in table:
        if key not in known:
            _refuse(f"{where}{key}", table[key], f"one of {', '.join(known)}")
    return {key: known[key](f"{where}{key}", value) for key, value in table.items() if value is not None}


def _refuse(key: str, value: Any, expected: str) -> NoReturn:
    message = f"the job's script is wrong at {key}: found {str(value)[:80]!r}; expected {expected}. Correct its payload"
    raise JobFailedError(message)


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        _refuse(key, value, "true or false")
    return value


def _number(maximum: float, *, whole: bool = False, positive: bool = False) -> Callable[[str, Any], Any]:
    """Make a reader of numbers from 0 to a maximum."""
    kind = "a whole number" if whole else "a number"
    least = "more than 0" if positive else "0 or more"

    def read(key: str, value: Any) -> Any:
        right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not right or not 0 <= value <= maximum or (positive and value == 0):
            _refuse(key, value, f"{kind}, {least}, up to {maximum:g}")
        return value if whole else float(value)

    return read


def _deploy(key: str, value: Any) -> Deploy | None:
    if isinstance(value, bool):
        return Deploy() if value else None
    return Deploy(**_read(value, _DEPLOY, f"{key}."))


_SCRIPT: dict[str, Callable[[str, Any], Any]] = {
    "seconds": _number(SECONDS_MAX),
    "busy": _number(SECONDS_MAX),
    "lines": _number(LINES_MAX, whole=True),
    "lines_per_second": _number(LINES_MAX, positive=True),
    "line_bytes": _number(BYTES_MAX, whole=True),
    "junk": _flag,
    "wide": _flag,
    "stamp": _flag,
    "fail_times": _number(TRIES_MAX, whole=True),
    "fail": _flag,
    "retry": _flag,
    "deploy": _deploy,
}
_DEPLOY: dict[str, Callable[[str, Any], Any]] = {
    "tries": _number(TRIES_MAX, whole=True, positive=True),
    "wait": _number(SECONDS_MAX),
    "seconds": _number(SECONDS_MAX),
}
