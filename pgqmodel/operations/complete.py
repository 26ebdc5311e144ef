"""`complete`: the holder of a job says that it is done."""

from __future__ import annotations

from pgqmodel.operations.settlement import settlement
from pgqmodel.operations.words import ABSENT, State

__all__ = ["COMPLETE"]

COMPLETE = settlement("complete", ends=(State.COMPLETED, ABSENT), parameters=("job",), removal=State.COMPLETED)
