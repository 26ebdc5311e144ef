"""Checks by graph and by search. An order is broken if the demanded edges and the observed edges form a cycle."""

from __future__ import annotations

from pgqmodel.checks.waits import waiting_in_cycles

__all__ = ["waiting_in_cycles"]
