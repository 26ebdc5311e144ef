"""Promises that are not declared, in stories on a real server: told with their steps, and nothing else differs."""

from __future__ import annotations

from attrs import evolve

from pgqmodel.explore.batches import Batch, BatchResult, Explorer
from pgqmodel.explore.judged import Run
from pgqmodel.explore.recorded_schedule import Recorded
from pgqmodel.machine import Machine
from pgqmodel.promises import PROMISES, may_judge
from pgqmodel.server import Cluster
from pgqmodel.target import Target, load
from pgqmodel.world import World
from world.stories import BUGS, advance, begin, in_world

THREE = load(str(BUGS.parent / "several" / "three.toml"))
LATE = (
    begin("P", "enqueue"),
    begin("A", "claim"),
    advance(31),
    begin("M", "reclaim"),
    begin("B", "claim"),
    begin("A", "complete"),
    begin("P", "cancel", job="J1"),
    begin("P", "enqueue"),
)


def only(target: Target, *promises: str) -> Target:
    """The target with these promises alone."""
    return evolve(target, promises={name: target.promises[name] for name in promises})


def test_each_undeclared_promise_is_judged_once_and_the_story_goes_on(server: Cluster) -> None:
    """A late complete and then a cancel of the completed job break two promises, at the steps at which they did."""

    async def story(world: World) -> None:
        quiet = tuple(may_judge(PROMISES, world.target.outline, world.target.promises))
        run = Run(world=world, quiet=quiet)
        await run.follow(Recorded(schedule=LATE))
        told = {name: (each.anomaly, each.operations, each.steps) for name, each in run.would_break.items()}
        assert told == {
            "fenced-settlement": ("stale-settlement", ("complete",), 5),
            "final-states": ("resurrection", ("cancel",), 6),
        }
        assert len(run.taken) == len(LATE)
        assert list(run.witnessed) == ["no-lost-job"]

    in_world(server, only(THREE, "no-lost-job"), story)


def test_what_is_explored_does_not_depend_on_what_is_judged_quietly(server: Cluster) -> None:
    """The same stories, counts and traces to the byte, with and without."""
    results: list[BatchResult] = []

    async def story(world: World) -> None:
        for quiet in (True, False):
            explorer = Explorer(world=world, machines=[Machine], faults=frozenset({"stall"}))
            if not quiet:
                explorer._quiet = ()
            results.append(await explorer.explore(Batch(number=0, seed=3, schedules=12)))

    in_world(server, only(THREE, "fenced-settlement", "exclusive-claim"), story)
    beside, alone = results
    assert beside.would_break
    assert evolve(beside, would_break={}) == alone
    assert [caught.trace.dumps() for caught in beside.findings] == [caught.trace.dumps() for caught in alone.findings]
