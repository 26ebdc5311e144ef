"""Writes numbers, durations and sizes for people: short, and without digits that mean nothing."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["duration", "number", "phrase", "size"]

_UNITS = ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "us"))
_KIB = 1024


def number(value: float) -> str:
    """`12,345`, `83.42`, `0.02130`: four significant digits, and whole numbers in full."""
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = max(0, min(3 - math.floor(math.log10(abs(value))), 9))
    return f"{value:,.{digits}f}"


def phrase(value: Any) -> str:
    """A setting as text: numbers in the form of `number`, other values as they are."""
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def duration(seconds: float | None) -> str:
    """`850 us`, `1.24 ms`, `12.3 s`; a dash for None."""
    if seconds is None:
        return "-"
    factor, unit = next((factor, unit) for least, factor, unit in _UNITS if seconds >= least)
    value = seconds * factor
    digits = max(0, 2 - math.floor(math.log10(value))) if value >= 1 else 0
    return f"{value:,.{digits}f} {unit}"


def size(bytes_: float) -> str:
    """`12.3 MiB`."""
    return f"{bytes_ / _KIB / _KIB:,.1f} MiB"
