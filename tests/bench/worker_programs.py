"""Stories of programs a second: the same ones with a fork server and with processes that start anew, in turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import trio
import trio.testing
from attrs import evolve

from pgqmodel.explore.batches import Batch, Explorer
from pgqmodel.machine.registered import machines_for
from pgqmodel.server import Cluster
from pgqmodel.steps import Start, fault_words
from pgqmodel.target import Target
from pgqmodel.world import World, open_world
from programs.told import python_target

__all__ = ["bench_programs"]


def bench_programs(server: Cluster, stories: int, rounds: int) -> None:
    """Print stories and steps a second in one world, and the share of the time in which programs start."""
    forked = python_target("sound")
    assert forked.command is not None
    fresh = evolve(forked, command=evolve(forked.command, preload=()))
    runs = [
        trio.run(_explore, server, target, stories, number, clock=trio.testing.MockClock())
        for number in range(rounds)
        for target in (forked, fresh)
    ]
    (rate, steps, starting), best_fresh = max(runs[::2]), max(runs[1::2])
    print(f"programs, two workers, forked: {rate:.2f} stories/s of {steps:.0f} steps in one world, ", end="")
    print(f"{rate / best_fresh[0]:.2f} of started anew; {starting:.0%} and {best_fresh[2]:.0%} of the time in starts")


async def _explore(server: Cluster, target: Target, stories: int, number: int) -> tuple[float, float, float]:
    """Stories a second, the steps of one, and the share of the time in which programs start."""
    async with open_world(target, server, workers=target.workers) as world:
        explorer = Explorer(world=world, machines=machines_for(target), faults=frozenset(fault_words()))
        with _starting() as spent:
            started = time.perf_counter()
            done = await explorer.explore(Batch(number=number, seed=1, schedules=stories))
            seconds = time.perf_counter() - started
    return done.schedules / seconds, done.steps / done.schedules, spent[0] / seconds


@contextmanager
def _starting() -> Iterator[list[float]]:
    """Add up the time that `start` steps take."""
    spent, perform = [0.0], Start.perform

    async def timed(step: Start, world: World) -> None:
        begun = time.perf_counter()
        await perform(step, world)
        spent[0] += time.perf_counter() - begun

    Start.perform = timed  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        Start.perform = perform  # type: ignore[method-assign]
