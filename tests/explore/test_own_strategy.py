"""A strategy that is not ours: one class with two methods chooses what happens in a real world."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import define, evolve, field

from pgqmodel.explore.judged import AnomalyFound, Run
from pgqmodel.explore.strategy import View
from pgqmodel.history import Event, Returned
from pgqmodel.operations import Status
from pgqmodel.server import Cluster
from pgqmodel.steps import Begin, Go, Step
from pgqmodel.target import load
from pgqmodel.world import World
from world.stories import BUGS, in_world, template


@define
class AllHalfway:
    """Every worker begins to claim the one job, and stops before its commit; then all go on, one after another."""

    begun: set[str] = field(factory=set)
    answers: list[Status] = field(factory=list)

    def next(self, view: View) -> Step | None:
        """A job, then a claim of each worker, then whoever waits."""
        if not view.taken:
            return Begin(client="P", operation="enqueue")
        for step in view.enabled():
            if isinstance(step, Begin) and step.operation == "claim" and step.client not in self.begun:
                return evolve(step, stop=2)
        return next((step for step in view.enabled() if isinstance(step, Go)), None)

    def told(self, step: Step, events: Sequence[Event]) -> None:
        """Who has begun, and what was answered."""
        self.begun.add(step.client)
        self.answers += [event.status for event in events if isinstance(event, Returned)]


def test_it_finds_what_is_broken(server: Cluster) -> None:
    """Two claims that are both halfway take the same job where the queue does not lock it."""

    async def story(world: World) -> None:
        with pytest.raises(AnomalyFound, match="double-claim"):
            await Run(world=world).follow(AllHalfway())

    in_world(server, load(str(BUGS / "double-claim--unlocked-subselect.toml")), story)


def test_it_is_told_what_happened(server: Cluster, tmp_path: Path) -> None:
    """On a sound queue one claim takes the job, the others find nothing; the strategy hears it and ends the story."""
    strategy = AllHalfway()

    async def story(world: World) -> None:
        await Run(world=world).follow(strategy)
        assert not world.waiting()

    in_world(server, template(tmp_path), story)
    assert strategy.begun == {"P", "A", "B", "C"}
    assert sorted(strategy.answers) == sorted([Status.OK, Status.OK, Status.EMPTY, Status.EMPTY])
