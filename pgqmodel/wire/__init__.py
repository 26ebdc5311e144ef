"""The gate on the wire: pure protocol (`messages`, `sql`, `session`), and sockets (`line`, `proxy`).

Only the pure half is exported here, so that it can be used without Trio; `pgqmodel.wire.proxy` has the `Gate`.
"""

from __future__ import annotations

from pgqmodel.wire.session import LineState, Session, Unit
from pgqmodel.wire.sql import StatementKind, kind

__all__ = ["LineState", "Session", "StatementKind", "Unit", "kind"]
