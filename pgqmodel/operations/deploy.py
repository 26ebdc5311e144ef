"""`deploy`: the holder of a deploy lock has its effect on the environment."""

from __future__ import annotations

from pgqmodel.operations.operation import Needs, Operation, Role

__all__ = ["DEPLOY"]

DEPLOY = Operation(name="deploy", role=Role.WORKER, needs=Needs.LOCK, parameters=("job", "environment"), published=True)
