"""A job's life: claimed, kept alive, settled, reclaimed, claimed again. No runs, no deploys, so stories go deeper."""

from __future__ import annotations

from pgqmodel.machine import Machine

__all__ = ["Lifecycle"]


class Lifecycle(Machine):
    """Few jobs, several workers, and time."""

    operations = frozenset({"enqueue", "claim", "heartbeat", "complete", "fail", "retry", "cancel", "reclaim", "log"})
    opening = ("claim", "log")
    runs = (None,)
    environments = (None,)
