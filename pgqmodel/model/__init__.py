"""An in-memory model of a correct queue: its jobs, claims, calls and locks. Pure: no I/O, time or chance.

`transitions` is the table of a job's life, `step` says what an observed difference means, `state` is what is known.
It knows no promise; `pgqmodel.promises` has them, one module each, and `pgqmodel.judge` asks them.
"""

from __future__ import annotations

from pgqmodel.model.change import Call, Change, Claim
from pgqmodel.model.state import ModelState

__all__ = ["Call", "Change", "Claim", "ModelState"]
