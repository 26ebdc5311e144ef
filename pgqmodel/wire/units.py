"""A unit, the piece of a client's statements that is let through at once, and the states of a connection. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from attrs import define

from pgqmodel.wire.sql import StatementKind

__all__ = ["LineState", "Unit"]


class LineState(StrEnum):
    """Where a connection stands."""

    STARTING = "starting"
    IDLE = "idle"
    HELD = "held"
    RUNNING = "running"
    COMMIT_HELD = "commit held"
    CLOSED = "closed"


@define(kw_only=True)  # not frozen: what comes of it is filled in, for every statement that goes through the gate
class Unit:
    """One unit: what the client sent, and, once it ran, what came of it."""

    kind: StatementKind
    sql: str
    parameters: tuple[Any, ...] = ()
    raw: bytes = b""
    replies: int | None = None
    """For a part that ends in Flush: how many replies end it; None for one that ends in ReadyForQuery."""
    runs: bool = True
    tag: str = ""
    error: str | None = None
    open: bool = False
    committed: bool = False
    is_commit: bool = False

    @property
    def free(self) -> bool:
        """Whether it needs no choice: it touches nothing that another session could see."""
        return not self.runs or self.kind is StatementKind.SESSION
