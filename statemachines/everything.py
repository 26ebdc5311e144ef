"""Every operation and every fault at once: slow to find deep stories, but it excludes none."""

from __future__ import annotations

from pgqmodel.machine import Machine

__all__ = ["Everything"]


class Everything(Machine):
    """The general machine as it is."""
