"""Hypothesis' machines as a strategy: what it drops is not counted, and it is left behind in order."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import assume
from hypothesis.stateful import rule

from pgqmodel.explore.batches import Batch, Explorer
from pgqmodel.explore.judged import Run
from pgqmodel.machine import Machine
from pgqmodel.machine.drawing import PICK
from pgqmodel.machine.storyteller import Stories
from pgqmodel.operations import CLAIM, COMPLETE, RECLAIM
from pgqmodel.server import Cluster
from pgqmodel.steps import Begin, Step
from pgqmodel.world import World
from world.stories import in_world, template


class Dropping(Machine):
    """A machine of which Hypothesis drops a story now and then."""

    dropped: ClassVar[list[int]] = []

    @rule(who=PICK)
    def drop(self, who: int) -> None:
        """Some draws are not wanted."""
        if who > 6:
            self.dropped.append(len(self.view.taken))
        assume(who <= 6)


def test_a_dropped_story_does_not_count(server: Cluster, tmp_path: Path) -> None:
    """A story that Hypothesis drops in the middle has no end; the others are as many as were asked for."""
    Dropping.dropped.clear()

    async def story(world: World) -> None:
        explorer = Explorer(world=world, machines=[Dropping], faults=frozenset())
        result = await explorer.explore(Batch(number=0, seed=1, schedules=10))
        assert (result.schedules, result.findings) == (10, ())

    in_world(server, template(tmp_path), story)
    assert Dropping.dropped


def test_a_story_leaves_out_what_it_is_asked_to(server: Cluster, tmp_path: Path) -> None:
    """An operation that is to be avoided is begun in no story but in its drain; otherwise it is."""
    begun: dict[bool, set[str]] = {}

    async def story(world: World) -> None:
        for avoided in (frozenset(), frozenset({COMPLETE.name, RECLAIM.name})):
            with Stories(machine=Machine, seed=1, stories_max=6, rules_max=16) as stories:
                while stories.has_another():
                    await world.reset()
                    run = Run(world=world, avoided=avoided)
                    await run.follow(stories)
                    told = run.taken[: run.draining]
                    begun.setdefault(bool(avoided), set()).update(s.operation for s in told if isinstance(s, Begin))

    in_world(server, template(tmp_path), story)
    assert begun[False] >= {COMPLETE.name, RECLAIM.name}
    assert begun[True].isdisjoint({COMPLETE.name, RECLAIM.name})
    assert CLAIM.name in begun[True]


def test_a_story_that_is_broken_off_ends_its_machine(server: Cluster, tmp_path: Path) -> None:
    """Whatever happens in the middle of a story, no rule runs afterwards, and no other story begins."""
    stories = Stories(machine=Machine, seed=1, stories_max=4, rules_max=8)
    chosen: list[Step] = []

    async def break_off(world: World) -> None:
        with stories:
            assert stories.has_another()
            run = Run(world=world, before_step=lambda: pytest.fail("enough") if len(chosen) == 2 else None)
            while step := stories.next(run.view):
                await run.take(step)
                chosen.append(step)

    async def story(world: World) -> None:
        with pytest.raises(pytest.fail.Exception, match="enough"):
            await break_off(world)

    in_world(server, template(tmp_path), story)
    assert len(chosen) == 2
    assert stories.is_over
