"""Moments in sentences: seconds since the story's start, as in its time column; a date beyond the horizon.

A history keeps moments as numbers, so that they sort. Which column of jobs holds moments its target knows; of other
values only one that cannot well be anything else is taken for a moment: a fraction as near to the story's start as
stories last. A whole number is never taken for one.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from pgqmodel.horizon import CYCLE_SECONDS, CYCLE_YEARS, HORIZON_SECONDS

__all__ = ["seems_moment", "tell_moment", "without_ticks"]

_EPOCH_SECONDS_MIN = 30 * HORIZON_SECONDS
"""A story that starts sooner after 1970 counts from a start of its own: its moments look like other small numbers."""
_TICKS_MAX = 100
"""More statements than a story has that people read; see `ServerClock.tick`."""
_BASE = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def seems_moment(value: Any, start: float | None) -> bool:
    """Whether a value of which nothing is known is a moment of the story that began at `start`."""
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
    """To a microsecond, as Postgres' times are, but without ticks: what a story's statements take is no part of it."""
    told = f"{without_ticks(seconds):.6f}".rstrip("0").rstrip(".")
    return "0" if told == "-0" else told


def without_ticks(seconds: float) -> float:
    """Seconds, but for the microseconds that a story's statements take."""
    if not math.isfinite(seconds):
        return seconds
    microseconds = round(seconds * 1e6)
    ticks = microseconds % 1000
    return (microseconds - (ticks if ticks <= _TICKS_MAX else 0)) / 1e6


def _date(value: float) -> str:
    """A date of any year: the calendar repeats itself, and Python's ends with the year 9999."""
    cycles, rest = divmod(round(value) - round(_BASE.timestamp()), CYCLE_SECONDS)
    day = _BASE + dt.timedelta(seconds=rest)
    year = day.year + cycles * CYCLE_YEARS
    return f"{year:04}-{day:%m-%d %H:%M:%S} UTC" if year > 0 else f"{1 - year:04}-{day:%m-%d %H:%M:%S} UTC BC"
