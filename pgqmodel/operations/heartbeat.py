"""`heartbeat`: the holder of a job says that it still lives, so its lease begins anew."""

from __future__ import annotations

from pgqmodel.operations.operation import Needs, Operation, Role

__all__ = ["HEARTBEAT"]

HEARTBEAT = Operation(name="heartbeat", role=Role.WORKER, needs=Needs.CLAIM, parameters=("job",))
