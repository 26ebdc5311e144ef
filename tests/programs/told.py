"""Worlds whose workers are programs, for the tests of them: steps in, events out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import trio
import trio.testing
from attrs import evolve

from pgqmodel.explore.judged import AnomalyFound, Run
from pgqmodel.history import Event
from pgqmodel.machine.registered import machines_for
from pgqmodel.machine.storyteller import Stories
from pgqmodel.server import Cluster
from pgqmodel.steps import Begin, Step, fault_words
from pgqmodel.target import Target, load
from pgqmodel.world import World, open_world, perform

__all__ = ["ENQUEUE", "RECLAIM", "TARGETS", "of", "python_target", "random_stories", "take"]

TARGETS = Path(__file__).parent / "python_worker"
ENQUEUE, RECLAIM = Begin(client="P", operation="enqueue"), Begin(client="M", operation="reclaim")


def python_target(name: str, *, most: int = 8) -> Target:
    """One of the targets whose worker is written in Python, with so many connections for each worker."""
    target = load(str(TARGETS / f"{name}.toml"))
    assert target.command is not None
    return evolve(target, command=evolve(target.command, most=most))


def take(server: Cluster, target: Target, *steps: Step) -> tuple[list[Event], dict[str, str]]:
    """Take steps in a new world. Return what happened, and each job's state at the end."""

    async def main() -> tuple[list[Event], dict[str, str]]:
        async with open_world(target, server, workers=target.workers) as world:
            for step in steps:
                await perform(world, step)
            return world.history, {name: job.state.value for name, job in world.observer.jobs.items()}

    return trio.run(main, clock=trio.testing.MockClock())


def random_stories(server: Cluster, target: Target, *, seed: int, stories: int, times: int) -> list[list[list[Event]]]:
    """The histories of a seed's first stories, told several times in one world; a story may end in a finding."""

    async def main() -> list[list[list[Event]]]:
        async with open_world(target, server, workers=target.workers) as world:
            return [await _tell(world, target, seed, stories) for _ in range(times)]

    return trio.run(main, clock=trio.testing.MockClock())


async def _tell(world: World, target: Target, seed: int, stories: int) -> list[list[Event]]:
    (machine,) = machines_for(target)
    machine = type(machine.__name__, (machine,), {"faults": frozenset(fault_words())})
    told: list[list[Event]] = []
    world.chance = seed
    with Stories(machine=machine, seed=seed, stories_max=stories, rules_max=10) as strategy:
        while len(told) < stories and strategy.has_another():
            await world.reset(clean=True)
            try:
                await Run(world=world).follow(strategy)
            except AnomalyFound:
                strategy.drop()
            told.append(world.history)
    return told


def of(history: Sequence[Event], kind: type[Event]) -> list[Event]:
    """The events of one kind."""
    return [event for event in history if type(event) is kind]
