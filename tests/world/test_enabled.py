"""What the world lists as possible can be done, and what it does not list cannot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pgqmodel.server import Cluster
from pgqmodel.steps import KINDS, Connect, Crash, Cut, Go, Restart, Step, Twin
from pgqmodel.world import World, perform, refusal
from world.stories import begin, in_world, on, take, template

ENQUEUE, CLAIM = begin("P", "enqueue"), begin("A", "claim")
STORIES: dict[str, tuple[Sequence[Step], type[Step]]] = {
    "nothing happened": ([], Cut),
    "one waits at the gate": ([ENQUEUE, begin("A", "claim", stop=1)], Go),
    "one holds a job": ([ENQUEUE, CLAIM], Twin),
    "one is cut off": ([ENQUEUE, CLAIM, on(Cut, "A")], Connect),
    "one crashed": ([ENQUEUE, CLAIM, on(Crash, "A")], Crash),
}


@pytest.mark.parametrize("name", STORIES)
def test_what_is_enabled_can_be_taken(server: Cluster, tmp_path: Path, name: str) -> None:
    """Every step that is listed is taken without a refusal; of those of its kind that are missing, each is refused."""
    before, kind = STORIES[name]

    async def story(world: World) -> None:
        await take(world, before)
        listed = world.enabled()
        assert kind in map(type, listed)
        missing = [step for each in KINDS.values() for step in each.options(world) if step not in listed]
        assert None not in [refusal(world, step) for step in missing]
        for step in listed:
            if not isinstance(step, Restart):
                await world.reset()
                await take(world, before)
                await perform(world, step)

    in_world(server, template(tmp_path), story)
