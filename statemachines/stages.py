"""Pipelines: every job belongs to a run and a stage; some jobs fail, are retried or cancelled."""

from __future__ import annotations

from pgqmodel.machine import Machine

__all__ = ["Stages"]


class Stages(Machine):
    """One run of several stages, rarely a second one; no deploys."""

    operations = frozenset({"enqueue", "claim", "heartbeat", "complete", "fail", "retry", "cancel", "reclaim"})
    runs = ("r1", "r1", "r1", "r2")
    keys = (None,)
    environments = (None,)
