"""How a story is brought to its end where a queue has maintenance of its own, on a real server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pgqmodel.explore.fair_ending import drain
from pgqmodel.operations import State
from pgqmodel.server import Cluster
from pgqmodel.steps import Begin, Step
from pgqmodel.target import load
from pgqmodel.world import World, perform
from world.stories import begin, in_world, take

SOUND = Path(__file__).parent.parent / "quality" / "sound"


def drained(server: Cluster, name: str, story: Sequence[Step]) -> tuple[list[str], dict[str, State]]:
    """The operations that a drain begins after a story, and what each job is then."""
    begun: list[str] = []
    states: dict[str, State] = {}

    async def run(world: World) -> None:
        await take(world, story)
        for step in drain(world):
            begun.extend([step.operation] if isinstance(step, Begin) else ())
            await perform(world, step)
        states.update({name: job.state for name, job in world.observer.jobs.items()})

    in_world(server, load(str(SOUND / f"{name}.toml")), run)
    return begun, states


@pytest.mark.parametrize("jobs", [1, 2])
def test_waiting_jobs_are_promoted(server: Cluster, jobs: int) -> None:
    """A drain runs every maintenance operation of the target's own, so each waiting job comes to its end."""
    begun, states = drained(server, "two-maintenance", [begin("P", "enqueue")] * jobs)

    assert {"stage", "prune"} <= set(begun)
    assert set(states.values()) <= {State.COMPLETED}


def test_a_job_that_failed_waits_for_its_time_and_is_promoted(server: Cluster) -> None:
    """The clock goes to the moment that a waiting job shows."""
    story = [begin("P", "enqueue"), begin("M", "stage"), begin("A", "claim"), begin("A", "fail")]
    _, states = drained(server, "two-maintenance", story)

    assert set(states.values()) <= {State.COMPLETED}


def test_a_chain_that_never_ends_has_an_end(server: Cluster) -> None:
    """Each job that completes adds the next: a drain awaits those that were there, and runs no tick that only adds."""
    begun, states = drained(server, "follow-ups", [begin("P", "enqueue")])

    assert "tick" not in begun
    assert states["J1"] is State.COMPLETED
    assert State.PENDING in states.values()
    assert len(states) <= 4
