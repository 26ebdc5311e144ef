"""`log`: the holder of a job writes a line that listeners are told of."""

from __future__ import annotations

from pgqmodel.operations.operation import Needs, Operation, Role, says_yes

__all__ = ["LOG"]

LOG = Operation(name="log", role=Role.WORKER, needs=Needs.CLAIM, parameters=("job", "line"), accepts=says_yes)
