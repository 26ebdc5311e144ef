"""Every operation and every fault at once: slow to find the deep stories, blind to none."""

from __future__ import annotations

from pgqmodel.machine import Machine

__all__ = ["Everything"]


class Everything(Machine):
    """The general machine as it is."""
