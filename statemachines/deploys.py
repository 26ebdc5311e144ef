"""Deploys to one environment: the holder of its lock, and the deploys that count."""

from __future__ import annotations

from pgqmodel.machine import Machine

__all__ = ["Deploys"]


class Deploys(Machine):
    """Every job deploys to the same environment."""

    needs = frozenset({"lock"})
    operations = frozenset({"enqueue", "claim", "complete", "fail", "reclaim", "lock", "deploy", "unlock"})
    runs = (None,)
    keys = (None,)
    priorities = (0,)
    enqueues_max = 4
    opening = ("claim", "lock", "claim", "lock", "deploy", "unlock", "lock")
    settles_late = False
    coming_back = ("deploy", "lock", "deploy")
    environments = ("prod",)
