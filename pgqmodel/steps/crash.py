"""Crash: a client dies and is started again, under its old name if the target's workers keep their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from pgqmodel.steps.cut import Cut, Severance
from pgqmodel.steps.kind import Step

if TYPE_CHECKING:
    from pgqmodel.world import World

__all__ = ["Crash"]


@frozen(kw_only=True)
class Crash(Severance):
    """A client dies: its connection ends and it forgets everything; a new one takes its place."""

    action: ClassVar[str] = "crash"
    fault: ClassVar[str] = "crash"
    severity: ClassVar[int] = 3
    words: ClassVar[str] = "**crashes**"

    async def perform(self, world: World) -> None:
        """Sever the connection, clear the client's beliefs, and connect it anew."""
        client = world.clients[self.client]
        await self.sever(world, client, crashed=True)
        client.start_again()
        await world.connect(client)

    def simpler(self) -> Iterator[Step]:
        """A milder fate of the answer; or only the connection breaks."""
        yield from super().simpler()
        yield Cut(client=self.client, fate=self.fate)
