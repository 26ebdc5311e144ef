"""Checks by graph: an order is broken exactly if what must precede and what was seen to precede form a cycle."""

from __future__ import annotations

from pgqmodel.checks.waits import waiting_in_cycles

__all__ = ["waiting_in_cycles"]
