"""The deadlines of a queue: the moments when leases lapse and delayed jobs become due. Pure.

A queue may compare with `<` or with `<=`, so exactly at a deadline it may count as reached or not. Therefore the clock
is moved to just before a deadline, to the deadline itself, and to just after it.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pgqmodel.history import Job
from pgqmodel.horizon import HORIZON_SECONDS
from pgqmodel.operations import UNHELD, State

__all__ = ["deadlines", "lease_seconds", "spans", "waits"]

LEASE_SECONDS = 30.0
"""The lease, where the target does not declare one."""
MARGIN_SECONDS = 0.001
"""The distance of "just before" and "just after" from a deadline: more than a float's error, much less than 1 s."""
_INTERVAL = re.compile(r"\binterval\s*'([^']*)'|\bmake_interval\s*\(([^()]*)\)", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)|\b([a-z]+)\s*=>\s*(\d+(?:\.\d+)?)", re.IGNORECASE)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
"""The seconds of a unit, by its first letter."""
_OTHER_UNITS = ("mon", "mil", "mic", "ms", "us", "y", "dec", "c")
"""How the units begin that are left out: no story waits for a month, nor needs to for a millisecond."""


def lease_seconds(settings: Mapping[str, Any]) -> float:
    """The time for which a holder without heartbeats keeps its job, from the target's settings."""
    return float(settings.get("heartbeat_timeout_seconds") or LEASE_SECONDS)


def deadlines(jobs: Iterable[Job], leases: Mapping[str, float], settings: Mapping[str, Any]) -> list[float]:
    """The moments when the leases of running jobs lapse and other jobs become due, earliest first, in epoch seconds.

    If a job's row shows the end of its lease, that counts. Otherwise `leases` says when the lease began: with the
    claim, or with the last accepted heartbeat.
    """
    lease = lease_seconds(settings)
    moments: set[float] = set()
    for job in jobs:
        if job.state is State.RUNNING and job.lease_until is not None:
            moments.add(job.lease_until)
        elif job.state is State.RUNNING and job.job in leases:
            moments.add(leases[job.job] + lease)
        elif job.state in UNHELD and job.eligible_at is not None:
            moments.add(job.eligible_at)
    return sorted(moment for moment in moments if math.isfinite(moment))


@functools.cache
def spans(sql: str) -> tuple[float, ...]:
    """The lengths of time that a statement writes out, such as `interval '1 day'`, in seconds and in its order.

    A statement that removes or moves what is older than that does nothing before.
    """
    found = (sum(map(_seconds, _PART.finditer(text or call))) for text, call in _INTERVAL.findall(sql))
    return tuple(seconds for seconds in dict.fromkeys(found) if 0 < seconds <= HORIZON_SECONDS)


def _seconds(part: re.Match[str]) -> float:
    number, unit = (part[1], part[2]) if part[1] else (part[4], part[3])
    left_out = unit.lower().startswith(_OTHER_UNITS)
    return 0.0 if left_out else float(number) * _UNITS.get(unit[0].lower(), 0)


def waits(moments: Iterable[float], now: float) -> list[float]:
    """For each moment in the future, the seconds until just after it, until it, and until just before it."""
    waiting = [
        round(moment - now + margin, 6) for moment in moments for margin in (MARGIN_SECONDS, 0.0, -MARGIN_SECONDS)
    ]
    return [seconds for seconds in dict.fromkeys(waiting) if 0 < seconds <= HORIZON_SECONDS]
