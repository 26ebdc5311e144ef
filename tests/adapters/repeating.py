"""Tells random stories of a target twice, and compares the histories byte by byte: `python repeating.py TARGET 1 5 10`.

The stories have kills, stops and cuts, and nothing is judged, so a broken promise does not end them.
"""

from __future__ import annotations

import difflib
import sys
import time
from collections import Counter

import trio
import trio.testing

from pgqmodel.explore.judged import Run
from pgqmodel.history import render
from pgqmodel.machine.registered import machines_for
from pgqmodel.machine.storyteller import Stories
from pgqmodel.server import Server, open_server
from pgqmodel.steps import Step
from pgqmodel.target import Target, load
from pgqmodel.world import World, perform
from pgqmodel.world.opening import open_world

RULES_MAX = 24


async def told(world: World, machine: type, seed: int, count: int) -> list[tuple[list[Step], str]]:
    """The steps and the history of each of the first stories of a seed."""
    world.chance = seed
    await world.reset(clean=True)
    tales = []
    with Stories(machine=machine, seed=seed, stories_max=count, rules_max=RULES_MAX) as stories:
        while len(tales) < count and stories.has_another():
            await world.reset()
            run = Run(world=world)
            while (step := stories.next(run.view)) is not None:
                run.taken.append(step)
                await perform(world, step)
            tales.append((run.taken, render(world.history)))
    return tales


def first_difference(one: str, other: str) -> str:
    """The first lines in which two histories differ."""
    lines = difflib.unified_diff(one.splitlines(), other.splitlines(), "first", "second", n=3, lineterm="")
    return "\n".join(line[:300] for _, line in zip(range(24), lines, strict=False))


async def repeat(target: Target, server: Server, seed: int, count: int) -> list[str]:
    """Tell the stories of a seed twice; the differences, by the number of the story."""
    machine = machines_for(target)[0]
    async with open_world(target, server, workers=target.workers) as world:
        begun = time.monotonic()
        once = await told(world, machine, seed, count)
        again = await told(world, machine, seed, count)
    kinds = Counter(step.action for taken, _ in once for step in taken)
    print(f"seed {seed}: {len(once)} stories, {time.monotonic() - begun:.0f} s, {dict(kinds)}", flush=True)
    pairs = enumerate(zip(once, again, strict=True))
    return [
        f"seed {seed}, story {number}:\n{first_difference(first, second)}"
        for number, ((_, first), (_, second)) in pairs
        if first != second
    ]


def main() -> None:
    """Tell so many stories of each seed, from the first to the last."""
    name, (first, last, count) = sys.argv[1], map(int, sys.argv[2:5])
    target = load(name)
    found = []
    with open_server("18") as server:
        for seed in range(first, last + 1):
            found += trio.run(repeat, target, server, seed, count, clock=trio.testing.MockClock())
    stories = (last - first + 1) * count
    print(f"{target.name}: {stories - len(found)} of {stories} equal")
    print("\n\n".join(found))


if __name__ == "__main__":
    main()
