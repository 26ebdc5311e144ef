"""The model of a correct queue, and the judge that holds a history against it. Pure: no I/O, time or randomness."""

from __future__ import annotations

from pgqmodel.model.judge import Judge
from pgqmodel.model.state import ModelState
from pgqmodel.model.verdicts import Broken

__all__ = ["Broken", "Judge", "ModelState"]
