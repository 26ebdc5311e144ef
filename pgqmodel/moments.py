"""Moments in sentences: in seconds since the story's start, as in its time column; beyond the horizon as a date.

A history keeps moments as numbers, so that they sort. The target knows which columns of jobs hold moments. Another
value counts as a moment only if it can hardly be anything else: a number with a fraction, as near to the story's start
as stories last. A whole number never counts.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from pgqmodel.horizon import CYCLE_SECONDS, CYCLE_YEARS, HORIZON_SECONDS

__all__ = ["seems_moment", "tell_moment", "without_ticks"]

_EPOCH_SECONDS_MIN = 30 * HORIZON_SECONDS
"""The earliest start of a story with recognisable moments. If it starts earlier (its times count from 0, for example),
its moments look like any small numbers."""
_TICKS_MAX = 100
"""More ticks than a story has that people read; see `ServerClock.tick`."""
_BASE = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def seems_moment(value: Any, start: float | None) -> bool:
    """Whether a value of an unknown kind seems to be a moment of the story that began at `start`."""
    if type(value) is not float or start is None or start < _EPOCH_SECONDS_MIN:
        return False
    return abs(value - start) <= HORIZON_SECONDS


def tell_moment(value: float, start: float | None) -> str:
    """A moment in words: "31 s" after the start, "9999-12-31 23:59:59 UTC", "infinity"."""
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    if start is not None and abs(value - start) <= HORIZON_SECONDS:
        return f"{_rounded(value - start)} s"
    return _date(value)


def _rounded(seconds: float) -> str:
    """The number to a microsecond, like Postgres' times, but without the ticks, which do not belong to the story."""
    told = f"{without_ticks(seconds):.6f}".rstrip("0").rstrip(".")
    return "0" if told == "-0" else told


def without_ticks(seconds: float) -> float:
    """Seconds without the ticks, the microseconds that the statements of a story take."""
    if not math.isfinite(seconds):
        return seconds
    microseconds = round(seconds * 1e6)
    ticks = microseconds % 1000
    return (microseconds - (ticks if ticks <= _TICKS_MAX else 0)) / 1e6


def _date(value: float) -> str:
    """A date of any year. Python's calendar ends in 9999, so the repetition of the calendar is used."""
    cycles, rest = divmod(round(value) - round(_BASE.timestamp()), CYCLE_SECONDS)
    day = _BASE + dt.timedelta(seconds=rest)
    year = day.year + cycles * CYCLE_YEARS
    return f"{year:04}-{day:%m-%d %H:%M:%S} UTC" if year > 0 else f"{1 - year:04}-{day:%m-%d %H:%M:%S} UTC BC"
