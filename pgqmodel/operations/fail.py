"""`fail`: the holder of a job says that it failed: it waits for another attempt, or has failed for good."""

from __future__ import annotations

from pgqmodel.operations.settlement import settlement
from pgqmodel.operations.words import State

__all__ = ["FAIL"]

FAIL = settlement("fail", ends=(State.PENDING, State.FAILED, State.WAITING), parameters=("job", "error"))
