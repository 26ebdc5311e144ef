"""The end of a story of programs: faults stop, all programs run, every body ends well, and time goes on.

It proposes steps and takes none, as `fair_ending` does where workers run statements. It is bounded: a queue in which
nothing changes for several rounds, each of which waits longer than the one before, is stuck.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pgqmodel.explore.fair_ending import IDLE_ROUNDS_MAX, finish_calls
from pgqmodel.history import Job
from pgqmodel.operations import FINAL, Role
from pgqmodel.steps import Advance, Begin, Continue, Drain, Finish, Proceed, Start, Step, can_begin
from pgqmodel.world import World, refusal
from pgqmodel.world.deadlines import lease_seconds

__all__ = ["drain_programs"]

_ROUNDS_MAX = 40


def drain_programs(world: World) -> Iterator[Step]:
    """The steps of a drain. The caller takes each before it asks for the next. The first and the last are marks."""
    yield Drain()
    yield from finish_calls(world)
    awaited = set(world.observer.jobs)
    idle_rounds = 0
    for _ in range(_ROUNDS_MAX):
        before = _those(world, awaited)
        if idle_rounds > IDLE_ROUNDS_MAX or all(job.state in FINAL for job in before.values()):
            break
        yield from _round(world)
        if _those(world, awaited) == before:
            idle_rounds += 1
            longer = lease_seconds(world.target.settings) * 2 ** (idle_rounds - 1)
            yield Advance(seconds=math.ceil(longer) + 1.0)
        else:
            idle_rounds = 0
    yield Drain(over=True)


def _those(world: World, awaited: set[str]) -> dict[str, Job]:
    return {name: job for name, job in world.observer.jobs.items() if name in awaited}


def _round(world: World) -> Iterator[Step]:
    """One round: maintenance runs; each program runs until it rests, and the bodies that it runs end well.

    A call that waited for a program's lock in the round before may hold locks of its own now, so it ends first.
    """
    yield from finish_calls(world)
    for operation in world.target.operations:
        for client in world.idle(Role.MAINTENANCE)[:1]:
            if can_begin(client, operation):
                yield Begin(client=client.name, operation=operation)
                yield from finish_calls(world)
    for name, actor in world.actors.items():
        wanted: list[Step] = [Continue(client=name), Start(client=name), Proceed(client=name)]
        for step in wanted:
            if refusal(world, step) is None:
                yield step
        for job in list(actor.working.values()):
            if refusal(world, Finish(client=name, job=job)) is None:
                yield Finish(client=name, job=job)
