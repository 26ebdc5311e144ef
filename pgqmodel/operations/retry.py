"""`retry`: the holder of a job gives it back for another attempt."""

from __future__ import annotations

from pgqmodel.operations.settlement import settlement
from pgqmodel.operations.words import State

__all__ = ["RETRY"]

RETRY = settlement("retry", ends=(State.PENDING, State.FAILED, State.WAITING), parameters=("job", "error"))
