"""Times that no story reaches: infinity, and times further ahead than the clock is ever moved.

Postgres knows infinity, years after 9999 and years before 1; Python's `datetime` does not. Such a value is kept as
Postgres wrote it (`Far`), so that a client can send it back unchanged, and is turned into a number for comparisons. A
job that is eligible at infinity waits for a change of its row, not for the clock. A job that is eligible beyond the
horizon waits for a time that is not explored, which has the same effect.
"""

from __future__ import annotations

import datetime as dt
import re

__all__ = ["CYCLE_SECONDS", "CYCLE_YEARS", "HORIZON_SECONDS", "START_SECONDS", "Far", "is_beyond"]

START_SECONDS = 1_893_456_000
"""The time at which every story starts: 2030-01-01 00:00:00 UTC, in seconds since the epoch."""

HORIZON_SECONDS = 366 * 86_400.0
"""The longest wait in a story; also the longest lease that a target may declare."""
_WRITTEN = re.compile(
    r"(\d+)-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(\.\d+)?(?:([-+])(\d\d)(?::(\d\d))?(?::(\d\d))?)?)?( BC)?"
)
CYCLE_YEARS, CYCLE_SECONDS = 400, 146_097 * 86_400
"""The calendar repeats itself after so many years; also their length in seconds."""


class Far(str):
    """The text of a time that Python's `datetime` cannot hold, as Postgres wrote it."""

    __slots__ = ()

    @property
    def seconds(self) -> float | None:
        """Seconds since the epoch (in UTC if the text has no offset); None if it is no point in time."""
        if self in {"infinity", "-infinity"}:
            return float(self)
        match = _WRITTEN.fullmatch(self)
        if match is None:
            return None
        year = 1 - int(match[1]) if match[12] else int(match[1])
        hour, minute, second = (int(match[part] or 0) for part in (4, 5, 6))
        cycles, of_cycle = divmod(year - 2000, CYCLE_YEARS)
        day = dt.datetime(2000 + of_cycle, int(match[2]), int(match[3]), hour, minute, second, tzinfo=dt.UTC)
        offset = int(match[9] or 0) * 3600 + int(match[10] or 0) * 60 + int(match[11] or 0)
        ahead = -offset if match[8] == "-" else offset
        return day.timestamp() + cycles * CYCLE_SECONDS + float(match[7] or 0) - ahead


def is_beyond(eligible_at: float | None, now: float) -> bool:
    """Whether a job waits for a time that no story reaches."""
    return eligible_at is not None and eligible_at - now > HORIZON_SECONDS
