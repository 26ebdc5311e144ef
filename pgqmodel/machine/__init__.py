"""The machines: Hypothesis chooses the steps of stories, rule by rule. `pgqmodel.explore` runs and shrinks them."""

from __future__ import annotations

from pgqmodel.explore.judged import AnomalyFound, Finding, Run
from pgqmodel.machine.machine import FAULTS, Machine

__all__ = ["FAULTS", "AnomalyFound", "Finding", "Machine", "Run"]
