"""Which faults a machine uses: those that are switched on, every one of them, and no other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import define, field

from pgqmodel.machine import FAULTS, Run
from pgqmodel.machine.explore import Batch, Explorer
from pgqmodel.registry import machines_for
from pgqmodel.server import Cluster
from pgqmodel.steps import Action
from pgqmodel.target import load, write_template
from pgqmodel.world import open_world

ACTIONS = {
    "cut": Action.CUT,
    "crash": Action.CRASH,
    "stall": Action.ADVANCE,
    "twin": Action.TWIN,
    "restart": Action.RESTART,
}
BATCHES_MAX = 20
"""Few stories have a restart, because it takes long; the rest is there in the first batch."""


@define(kw_only=True)
class Watching(Explorer):
    """An explorer that counts what the machines do; drains are not the machines' doing."""

    actions: Counter[Action] = field(factory=Counter)

    def finish(self, run: Run) -> None:
        """Count the steps of a run up to its drain."""
        self.actions.update(step.action for step in run.taken[: run.draining])
        super().finish(run)


def actions_under(server: Cluster, directory: Path, faults: frozenset[str]) -> Counter[Action]:
    """What machines do to the queue that `init` writes, up to the batch in which one of the faults has happened."""
    target = load(str(write_template(directory)[1]))

    async def main() -> Counter[Action]:
        async with open_world(target, server) as world:
            explorer = Watching(world=world, machines=machines_for(target)[:1], faults=faults)
            for number in range(BATCHES_MAX):
                await explorer.explore(Batch(number=number, seed=1, schedules=20))
                if any(explorer.actions[ACTIONS[fault]] for fault in faults) or not faults:
                    break
            return explorer.actions

    return trio.run(main, clock=trio.testing.MockClock())


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_alone(server: Cluster, tmp_path: Path, fault: str) -> None:
    """A fault that is switched on happens, and none of the others does."""
    actions = actions_under(server, tmp_path, frozenset({fault}))
    assert {other for other in FAULTS if actions[ACTIONS[other]]} == {fault}


def test_none(server: Cluster, tmp_path: Path) -> None:
    """Without faults clients only take turns."""
    assert set(actions_under(server, tmp_path, frozenset())) <= {Action.BEGIN, Action.GO, Action.DEADLOCK}
