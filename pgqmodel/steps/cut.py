"""Cut: a client's connection breaks, and its client lives on. Also how any connection is severed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self

from attrs import evolve, field, frozen

from pgqmodel.steps.go import Go
from pgqmodel.steps.kind import Fate, Step, Weight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgqmodel.world import World
    from pgqmodel.world.client import Client

__all__ = ["Cut", "Severance"]


@frozen(kw_only=True)
class Severance(Step):
    """A step that ends a connection: between two calls, or at a gate, before or after the held unit has run."""

    fate: Fate = field(default=Fate.BEFORE)

    def refuse(self, world: World) -> str | None:
        """The client must be connected, and none of its statements may be running."""
        client = world.clients[self.client]
        if client.connection is None:
            return f"{client.name} is not connected"
        if client.call is None:
            return None if self.fate is Fate.BEFORE else f"{client.name} has no answer to lose"
        return Go(client=self.client).refuse(world)

    @property
    def weight(self) -> Weight:
        """A lost answer is worse than a lost request."""
        return Weight(severity=self.severity + (self.fate is Fate.AFTER))

    def simpler(self) -> Iterator[Step]:
        """If the answer was lost: the request is lost instead, or the answer arrives."""
        if self.fate is Fate.AFTER:
            yield evolve(self, fate=Fate.BEFORE)
            yield Go(client=self.client)

    def to_json(self) -> dict[str, Any]:
        """The step as JSON; its fate is always there, and comes last."""
        return {"action": self.action, "client": self.client, "fate": self.fate.value}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read the step that `to_json` wrote; without a fate, the request was lost."""
        return super().from_json({**record, "fate": Fate(record.get("fate", Fate.BEFORE))})

    async def sever(self, world: World, client: Client, *, crashed: bool) -> None:
        """End a client's connection, and record the units that the server ran on the way."""
        line = world.line(client)
        assert line is not None
        assert client.connection is not None
        client.connection.abandoned = crashed
        ran = await world.gate.cut(line, answer_lost=self.fate is Fate.AFTER)
        client.connection = None
        await world.settle(lost={client.name: ran})
        world.end_session(client, crashed=crashed)
        world.observe(())


@frozen(kw_only=True)
class Cut(Severance):
    """A client's connection is cut; the client keeps what it believes."""

    action: ClassVar[str] = "cut"
    fault: ClassVar[str] = "cut"
    severity: ClassVar[int] = 2
    words: ClassVar[str] = "**connection cut**"

    async def perform(self, world: World) -> None:
        """Sever the connection; nothing else changes for the client."""
        await self.sever(world, world.clients[self.client], crashed=False)
