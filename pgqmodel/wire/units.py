"""A unit, the piece of a client's statements that is let through at once, and the states of a connection. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from attrs import define

from pgqmodel.wire.sql import StatementKind

__all__ = ["LineState", "Unit"]


class LineState(StrEnum):
    """The state of a connection."""

    STARTING = "starting"
    IDLE = "idle"
    HELD = "held"
    RUNNING = "running"
    COMMIT_HELD = "commit held"
    CLOSED = "closed"


@define(kw_only=True)  # not frozen: the result is filled in when the unit has run
class Unit:
    """One unit: the client's messages and, once it ran, its result."""

    kind: StatementKind
    sql: str
    parameters: tuple[Any, ...] = ()
    raw: bytes = b""
    replies: int | None = None
    """For a part that ends in Flush, the number of replies to wait for; None if ReadyForQuery ends the answer."""
    runs: bool = True
    describes: str | None = None
    """The prepared statement whose parameters' types the server is asked for."""
    tag: str = ""
    error: str | None = None
    open: bool = False
    committed: bool = False
    is_commit: bool = False
    turn: int = 0
    """Its place among the units of all connections of a gate, by when they were done."""
    is_snapshot: bool = False
    """Whether it is the part of a statement that takes its snapshot, and runs nothing yet."""
    is_answered: bool = True
    """Whether its client awaits the server's replies to it; not those to messages that the gate has put in."""

    @property
    def free(self) -> bool:
        """Whether it goes on without a decision, because it touches nothing that another session could see."""
        return not self.runs or self.kind is StatementKind.SESSION
