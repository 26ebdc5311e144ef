"""Stories in a real world: lists of steps, short to write, and what a world makes of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import trio
import trio.testing

from pgqmodel.server import Cluster
from pgqmodel.steps import Advance, Begin, Go, Step
from pgqmodel.target import Target, load, write_template
from pgqmodel.world import World, open_world, perform

__all__ = ["advance", "begin", "go", "in_world", "on", "take", "template"]

BUGS = Path(__file__).parent.parent / "quality" / "bugs"


def begin(client: str, operation: str, stop: int = 0, **arguments: object) -> Step:
    """A client begins an operation."""
    return Begin(client=client, operation=operation, stop=stop, arguments=arguments)


def go(client: str, stop: int = 0) -> Step:
    """A client that waits at the gate goes on."""
    return Go(client=client, stop=stop)


def on(kind: type[Step], client: str = "") -> Step:
    """A step that has nothing to say but whom it is about."""
    return kind(client=client)


def advance(seconds: float) -> Step:
    """Time moves."""
    return Advance(seconds=seconds)


def template(directory: Path) -> Target:
    """The queue that `pgqmodel init` writes."""
    return load(str(write_template(directory)[1]))


def in_world(server: Cluster, target: Target, story: Callable[[World], Awaitable[None]]) -> None:
    """Run a story in a world of its own."""

    async def main() -> None:
        async with open_world(target, server) as world:
            await story(world)

    trio.run(main, clock=trio.testing.MockClock())


async def take(world: World, steps: Sequence[Step]) -> None:
    """Take steps in their order."""
    for step in steps:
        await perform(world, step)
