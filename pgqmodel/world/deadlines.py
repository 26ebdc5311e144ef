"""The moments at which time decides something: leases lapse, delayed jobs become due. Pure; the one list of them.

At its very instant a deadline may count as reached or as not reached: a queue may compare with `<` or with `<=`. So a
deadline is tried from both sides, a margin apart, and at the instant itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pgqmodel.history import Job
from pgqmodel.horizon import HORIZON_SECONDS
from pgqmodel.operations import UNHELD, State

__all__ = ["deadlines", "lease_seconds", "waits"]

LEASE_SECONDS = 30.0
"""The lease of a target that declares none."""
MARGIN_SECONDS = 0.001
"""How far "just before" and "just after" are from a deadline: more than a float's error, much less than a second."""


def lease_seconds(settings: Mapping[str, Any]) -> float:
    """How long a silent holder keeps its job, by the target's settings."""
    return float(settings.get("heartbeat_timeout_seconds") or LEASE_SECONDS)


def deadlines(jobs: Iterable[Job], leases: Mapping[str, float], settings: Mapping[str, Any]) -> list[float]:
    """When the leases of running jobs lapse and others become due, earliest first, in seconds since the epoch.

    A lease lasts until the moment that its job's row shows; where it shows none, `leases` says when it began: with its
    claim, or with the last heartbeat that was accepted.
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


def waits(moments: Iterable[float], now: float) -> list[float]:
    """How long to wait until just after, at, and just before each of the moments that lie ahead, in seconds."""
    waiting = [
        round(moment - now + margin, 6) for moment in moments for margin in (MARGIN_SECONDS, 0.0, -MARGIN_SECONDS)
    ]
    return [seconds for seconds in dict.fromkeys(waiting) if 0 < seconds <= HORIZON_SECONDS]
