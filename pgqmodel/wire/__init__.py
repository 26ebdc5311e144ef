"""The gate on the wire: pure protocol (`messages`, `sql`, `session`), and sockets (`line`, `proxy`)."""

from __future__ import annotations

from pgqmodel.wire.line import Line
from pgqmodel.wire.proxy import Gate
from pgqmodel.wire.session import LineState, Session, Unit
from pgqmodel.wire.sql import StatementKind, kind

__all__ = ["Gate", "Line", "LineState", "Session", "StatementKind", "Unit", "kind"]
