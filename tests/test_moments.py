"""Moments in sentences: since the start where that is near, as a date where it is far; numbers stay numbers."""

from __future__ import annotations

import pytest

from pgqmodel.moments import seems_moment, tell_moment

START = 1_893_456_000.0
TOLD = {
    "the start": (START, "0 s"),
    "later": (START + 31, "31 s"),
    "before": (START - 1.5, "-1.5 s"),
    "a microsecond": (START + 1_234_567.000501, "1234567.000501 s"),
    "a tick": (START + 31.000042, "31 s"),
    "less than that": (START - 1e-7, "0 s"),
    "after a year": (START + 366 * 86_400 + 1, "2031-01-02 00:00:01 UTC"),
    "the year 9999": (253_402_300_799.0, "9999-12-31 23:59:59 UTC"),
    "the last year of Postgres": (9_224_318_015_999.0, "294276-12-31 23:59:59 UTC"),
    "the first year of Postgres": (-210_866_803_200.0, "4714-11-24 00:00:00 UTC BC"),
    "infinity": (float("inf"), "infinity"),
    "the other infinity": (float("-inf"), "-infinity"),
}


@pytest.mark.parametrize(("value", "told"), TOLD.values(), ids=TOLD)
def test_a_moment_is_told(value: float, told: str) -> None:
    """Seconds since the start, exact to a microsecond but for ticks; beyond a year the date, of whatever year."""
    assert tell_moment(value, START) == told


@pytest.mark.parametrize(
    ("value", "start", "seems"),
    [
        (START + 31.0, START, True),
        (1_893_456_031, START, False),
        (0.5, START, False),
        (253_402_300_799.0, START, False),
        (float("inf"), START, False),
        (True, START, False),
        ("2030-01-01", START, False),
        (31.0, 0.0, False),
        (START, None, False),
    ],
)
def test_only_a_fraction_near_the_start_seems_a_moment(value: object, start: float | None, seems: bool) -> None:
    """A whole number is a priority or an identifier, however large; a history may count from zero."""
    assert seems_moment(value, start) is seems
