"""The base of every kind of step. A trace is a list of steps.

A step names clients by name, and jobs by the order in which they appeared (`J1`). It names no row and no process, so
the same steps mean the same thing in another database. A step acts on a world that it is given and imports only the
type of it. So code that only reads, shrinks or tells schedules needs neither a server nor Trio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self

from attrs import fields, frozen

if TYPE_CHECKING:
    from pgqmodel.world import World

__all__ = ["Fate", "Step", "Weight"]


class Fate(StrEnum):
    """The fate of a unit whose connection is cut; its client cannot tell the two apart."""

    BEFORE = "before"
    """The server never saw it."""
    AFTER = "after"
    """The server ran and committed it; the answer was lost."""


@frozen(kw_only=True)
class Weight:
    """The reasons why a step is hard to read. Shrinking adds them up over a schedule and compares the sums."""

    severity: int = 0
    """How bad the event is: a cut is worse than a wait, and a restart is worse than a crash."""
    stop: int = 0
    """The gate at which it stops halfway; 0 means that it runs to its end."""
    options: int = 0
    """The number of arguments that it could leave out."""
    detour: bool = False
    """Whether it is about a job other than the first."""
    seconds: float = 0.0
    """The time that passes."""


@frozen(kw_only=True)
class Step:
    """One choice. A subclass is one kind of step, with a module of its own; `pgqmodel.steps.add` makes it known."""

    client: str = ""
    """The client that takes the step; empty if no client does."""

    action: ClassVar[str] = ""
    """The word for this kind in a trace."""
    fault: ClassVar[str] = ""
    """The word of `--faults` that switches this kind on; empty if it is no fault."""
    severity: ClassVar[int] = 1
    words: ClassVar[str] = "goes on"
    """The words of the step in a story: a template that may use the fields of its event."""
    is_told: ClassVar[bool] = False
    """Whether a story always says `words`, because the events alone would not show the step."""

    is_about_client: ClassVar[bool] = True
    """Whether there is such a step for every client."""

    def refuse(self, world: World) -> str | None:
        """Why the step cannot be taken now, or None if it can. If it names a client, that exists."""
        return None

    async def perform(self, world: World) -> None:
        """Take the step in a world, and settle; `refuse` must have returned None."""
        raise NotImplementedError

    @classmethod
    def options(cls, world: World) -> Iterator[Step]:
        """Candidates for steps of this kind, each in its simplest form; `refuse` says which are possible now."""
        return iter([cls(client=name) for name in world.clients] if cls.is_about_client else [cls()])

    @property
    def is_choice(self) -> bool:
        """Whether it counts in the size of a story."""
        return True

    @property
    def weight(self) -> Weight:
        """The reasons why it is hard to read."""
        return Weight(severity=self.severity)

    def simpler(self) -> Iterator[Step]:
        """Steps that are easier to read and could stand in its place, most promising first."""
        return iter(())

    def to_json(self) -> dict[str, Any]:
        """The step as JSON: its action, and the fields that differ from their defaults."""
        values = {attribute.name: getattr(self, attribute.name) for attribute in fields(type(self))}
        return {"action": self.action} | {name: value for name, value in values.items() if value}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read the step that `to_json` wrote; ValueError or TypeError for anything else."""
        return cls(**{name: value for name, value in record.items() if name != "action"})
