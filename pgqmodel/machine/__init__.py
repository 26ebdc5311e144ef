"""Choosing what happens next, trying it in a world, and making what was found as short as it can be."""

from __future__ import annotations

from pgqmodel.explore.judged import AnomalyFound, Finding, Run
from pgqmodel.machine.machine import FAULTS, Machine

__all__ = ["FAULTS", "AnomalyFound", "Finding", "Machine", "Run"]
