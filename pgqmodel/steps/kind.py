"""What every kind of step has in common. A trace is a list of steps.

A step names no row and no process: clients by name, jobs by the order in which they appeared (`J1`), so the same steps
mean the same thing in another database. A step acts on a world that it is given; it knows the world's type alone, so
that whatever only reads, shrinks or tells schedules needs neither a server nor Trio.
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
    """What becomes of a unit whose connection is cut; its client cannot tell one from the other."""

    BEFORE = "before"
    """The server never saw it."""
    AFTER = "after"
    """The server ran and committed it; the answer was lost."""


@frozen(kw_only=True)
class Weight:
    """What makes a step hard to read. Shrinking adds these up over a schedule, and compares the sums."""

    severity: int = 0
    """How bad what happens is: a cut is worse than a wait, and a restart is worse than a crash."""
    stop: int = 0
    """The gate at which it stops halfway; 0 means that it goes to its end."""
    options: int = 0
    """How many arguments it has that it could do without."""
    detour: bool = False
    """Whether it is about another job than the first."""
    seconds: float = 0.0
    """How much time passes."""


@frozen(kw_only=True)
class Step:
    """One choice. A subclass is one kind of step, with a module of its own; `pgqmodel.steps.add` makes it known."""

    client: str = ""
    """Whose step it is; empty if it is nobody's in particular."""

    action: ClassVar[str] = ""
    """The word for this kind in a trace."""
    fault: ClassVar[str] = ""
    """The word of `--faults` that switches this kind on; empty if it is no fault."""
    severity: ClassVar[int] = 1
    words: ClassVar[str] = "goes on"
    """What a story says of it, as a template that may name what its event holds."""
    is_told: ClassVar[bool] = False
    """Whether the story says `words` in any case: its events alone would not tell what happened."""

    is_about_client: ClassVar[bool] = True
    """Whether there is one for every client."""

    def refuse(self, world: World) -> str | None:
        """Why the step cannot be taken now, or None if it can. `client` is there, if it names one."""
        return None

    async def perform(self, world: World) -> None:
        """Take the step in a world that does not refuse it, and settle."""
        raise NotImplementedError

    @classmethod
    def options(cls, world: World) -> Iterator[Step]:
        """The steps of this kind that may be possible now, each in its simplest form; `refuse` says which are."""
        return iter([cls(client=name) for name in world.clients] if cls.is_about_client else [cls()])

    @property
    def is_choice(self) -> bool:
        """Whether it counts in the size of a story."""
        return True

    @property
    def weight(self) -> Weight:
        """What makes it hard to read."""
        return Weight(severity=self.severity)

    def simpler(self) -> Iterator[Step]:
        """What could stand in its place and be easier to read, most promising first."""
        return iter(())

    def to_json(self) -> dict[str, Any]:
        """The step as JSON has it: the action, and what differs from the defaults."""
        values = {attribute.name: getattr(self, attribute.name) for attribute in fields(type(self))}
        return {"action": self.action} | {name: value for name, value in values.items() if value}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The step of this kind that `to_json` wrote; ValueError or TypeError if it did not."""
        return cls(**{name: value for name, value in record.items() if name != "action"})
