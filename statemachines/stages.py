"""Pipelines: every job belongs to a run and a stage, and fails, is retried or cancelled on the way."""

from __future__ import annotations

from pgqmodel.machine import Machine

__all__ = ["Stages"]


class Stages(Machine):
    """One run of several stages, and seldom a second one; no deploys."""

    operations = frozenset({"enqueue", "claim", "heartbeat", "complete", "fail", "retry", "cancel", "reclaim"})
    runs = ("r1", "r1", "r1", "r2")
    keys = (None,)
    environments = (None,)
