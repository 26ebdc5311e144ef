"""`fail`: the holder says that its job failed; the job waits for another attempt, or has failed for good."""

from __future__ import annotations

from pgqmodel.operations.settlement import settlement
from pgqmodel.operations.words import State

__all__ = ["FAIL"]

FAIL = settlement("fail", ends=(State.PENDING, State.FAILED, State.WAITING), parameters=("job", "error"))
