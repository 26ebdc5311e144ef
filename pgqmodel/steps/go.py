"""Go: a client that waits at a gate goes on. Also how a client is led from gate to gate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from attrs import evolve, frozen

from pgqmodel.steps.kind import Step, Weight
from pgqmodel.wire.session import LineState

if TYPE_CHECKING:
    from pgqmodel.world import World
    from pgqmodel.world.client import Client

__all__ = ["Go", "run_up"]

GATES_MAX = 200


@frozen(kw_only=True)
class Go(Step):
    """A client that waits at a gate goes on, up to its `stop`-th next gate; 0, the simplest, means to the end."""

    stop: int = 0

    action: ClassVar[str] = "go"

    def refuse(self, world: World) -> str | None:
        """The client must wait at a gate."""
        return None if world.waits(world.clients[self.client]) else f"{self.client} does not wait at the gate"

    async def perform(self, world: World) -> None:
        """Let the client through this gate, and on to the next one that counts."""
        client = world.clients[self.client]
        await _pass(world, client)
        await run_up(world, client, self.stop)

    @property
    def weight(self) -> Weight:
        """The simplest one runs to its end."""
        return Weight(severity=self.severity, stop=self.stop)

    def simpler(self) -> Iterator[Step]:
        """The same step to its end, or to an earlier gate."""
        if self.stop:
            yield evolve(self, stop=0)
            yield evolve(self, stop=self.stop - 1)


async def run_up(world: World, client: Client, stop: int) -> None:
    """Let a client go on until its call is over, it is blocked, or it waits at its `stop`-th gate."""
    await world.settle()
    for gate in range(1, GATES_MAX):
        if not world.waits(client) or gate == stop:
            return
        await _pass(world, client)


async def _pass(world: World, client: Client) -> None:
    """Let a waiting client through one gate."""
    line = world.line(client)
    assert line is not None
    world.database.clock.tick()
    if line.state is LineState.COMMIT_HELD:
        world.gate.commit(line)
    else:
        world.gate.release(line)
    await world.settle()
