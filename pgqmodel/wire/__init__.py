"""The gate on the wire: pure protocol (`messages`, `sql`, `session`), and one file with sockets (`proxy`)."""

from __future__ import annotations

from pgqmodel.wire.proxy import Gate, Line
from pgqmodel.wire.session import LineState, Session, Unit
from pgqmodel.wire.sql import StatementKind, kind

__all__ = ["Gate", "Line", "LineState", "Session", "StatementKind", "Unit", "kind"]
