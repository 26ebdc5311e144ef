"""The steps of a schedule: everything that can be chosen to happen next. A trace is a list of these.

A step names no row and no process: clients by name, jobs by the order in which they appeared (`J1`), so the same steps
mean the same thing in another database. `stop` is where a preemption goes: 0, the simplest, means to the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import asdict, field, frozen

__all__ = ["Action", "Fate", "Step"]


class Action(StrEnum):
    """The kinds of steps."""

    BEGIN = "begin"
    """A client begins an operation and runs it up to its `stop`-th gate (0: to the end)."""
    GO = "go"
    """A client that waits at a gate goes on, up to its `stop`-th next gate (0: to the end)."""
    CUT = "cut"
    """A client's connection is cut; it keeps what it believes."""
    CRASH = "crash"
    """A client dies: its connection ends and it forgets everything; a new one of the same name takes its place."""
    TWIN = "twin"
    """A second client starts under the name of a worker that still runs, as an orchestrator does with a silent one."""
    CONNECT = "connect"
    """A client whose connection was cut connects again."""
    ADVANCE = "advance"
    """The clock moves, for server and clients alike."""
    DEADLOCK = "deadlock"
    """The deadlock detector of one of the clients in a cycle fires: that one is the victim."""
    DELIVER = "deliver"
    """A notification that waits at the gate reaches its client."""
    RESTART = "restart"
    """The server is killed and started again."""
    DRAIN = "drain"
    """Faults stop, everything is connected again, all clients are scheduled fairly, time moves on."""


class Fate(StrEnum):
    """What becomes of a unit whose connection is cut; its client cannot tell one from the other."""

    BEFORE = "before"
    """The server never saw it."""
    AFTER = "after"
    """The server ran and committed it; the answer was lost."""


@frozen(kw_only=True)
class Step:
    """One choice. Fields that an action does not use are left at their defaults and out of the text form."""

    action: Action
    client: str = ""
    operation: str = ""
    arguments: Mapping[str, Any] = field(factory=dict)
    stop: int = 0
    fate: Fate = Fate.BEFORE
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The step as JSON has it: the action, and what differs from the defaults."""
        record = asdict(self, filter=lambda attribute, value: bool(value))
        record["action"] = self.action.value
        del record["fate"]
        return record | ({"fate": self.fate.value} if self.action in {Action.CUT, Action.CRASH} else {})

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Step:
        """The step that `to_json` wrote; KeyError, ValueError or TypeError if it did not."""
        fields = dict(record)
        fields["action"] = Action(fields["action"])
        fields["fate"] = Fate(fields.get("fate", Fate.BEFORE))
        return cls(**fields)
