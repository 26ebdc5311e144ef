"""A kind of step that is not ours: from its own file it can be taken, recorded, told, shrunk and chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import trio
from attrs import evolve
from hypothesis.stateful import precondition, rule

from pgqmodel.explore.batches import Batch, Explorer
from pgqmodel.explore.judged import Run
from pgqmodel.explore.recorded_schedule import Recorded
from pgqmodel.explore.simplifying import shrink
from pgqmodel.history import Ended, Returned, render
from pgqmodel.machine import Machine
from pgqmodel.machine.drawing import PICK, pick
from pgqmodel.report.spec import NotInSqlError
from pgqmodel.report.spec import render as render_spec
from pgqmodel.report.story import tell
from pgqmodel.server import Cluster
from pgqmodel.steps import KINDS, Drain, Step, add, fault_words, from_json
from pgqmodel.world import World
from report.examples import DOUBLE_CLAIM, start
from steps.interrupted import Interrupt
from world.stories import begin, go, in_world, take, template


@pytest.fixture(autouse=True)
def added() -> Iterator[None]:
    """The step is known during a test, and only then."""
    add(Interrupt)
    yield
    del KINDS[Interrupt.action]


WAITS = (
    begin("P", "enqueue"),
    begin("A", "claim"),
    begin("A", "complete", stop=2),
    begin("P", "cancel", job="J1"),
)
SCHEDULE = (*WAITS, Interrupt(client="P"), go("A"), Drain())


def test_it_is_a_word_of_faults_and_of_traces() -> None:
    """Once it is added, `--faults` knows its word, and what it is written as is read back."""
    assert fault_words()[-1] == "interrupt"
    assert from_json(Interrupt(client="A").to_json()) == Interrupt(client="A")


def test_a_word_that_is_taken_is_refused() -> None:
    """Two kinds of one name could not be told apart in a trace."""
    with pytest.raises(ValueError, match="found the action 'interrupt', which Interrupt has"):
        add(Interrupt)
    with pytest.raises(ValueError, match="found no action in Step"):
        add(Step)


def test_it_is_taken_and_told_the_same_twice(server: Cluster, tmp_path: Path) -> None:
    """It is listed while it is possible, its client gets the error, and the history is the same again."""
    told: list[str] = []

    async def story(world: World) -> None:
        for _ in range(2):
            await world.reset(clean=True)
            assert Interrupt(client="P") not in world.enabled()
            await take(world, WAITS)
            assert Interrupt(client="P") in world.enabled()
            await world.reset(clean=True)
            await Run(world=world).follow(Recorded(schedule=SCHEDULE))
            told.append(render(world.history))
            errors = [event.error for event in world.history if isinstance(event, Returned)]
            assert errors == [None, None, "57014", None]

    in_world(server, template(tmp_path), story)
    assert told[0] == told[1]


def test_its_words_stand_in_the_story() -> None:
    """What its events alone would not tell: who interrupted it."""
    history = (*start("A"), Ended(step=1, client="A"))
    row, *_ = tell(evolve(DOUBLE_CLAIM, history=history, steps=(Interrupt(client="A"),))).rows
    assert row.cells["A"] == ("**interrupted by an administrator**", "**connection cut**")


def test_a_specification_in_sql_does_not_pretend() -> None:
    """Whoever follows the clients' statements alone would not see what it did: the specification is refused."""
    with pytest.raises(NotInSqlError, match="what the step interrupt does is no statement"):
        render_spec(evolve(DOUBLE_CLAIM, steps=(Interrupt(client="A"),)))


def test_shrinking_keeps_it_where_it_matters() -> None:
    """Whatever else the schedule has is left out; the step that the failure needs stays."""

    async def attempt(candidate: Sequence[Step]) -> tuple[Step, ...] | None:
        return tuple(candidate) if any(isinstance(step, Interrupt) for step in candidate) else None

    assert trio.run(shrink, SCHEDULE, attempt) == (Interrupt(client="P"),)


class Interrupting(Machine):
    """A machine of one's own that chooses it."""

    faults = Machine.faults | {"interrupt"}
    chosen: ClassVar[list[str]] = []

    @precondition(lambda self: "interrupt" in self.faults and self.able(Interrupt))
    @rule(who=PICK)
    def interrupt_one(self, who: int) -> None:
        """An administrator interrupts somebody."""
        client = pick(self.able(Interrupt), who)
        self.take(Interrupt(client=client.name))
        self.chosen.append(client.name)


@pytest.mark.parametrize("switched_on", [True, False])
def test_a_machine_chooses_it(server: Cluster, tmp_path: Path, switched_on: bool) -> None:
    """A rule of one line takes it where its fault is switched on, and a sound queue holds out."""
    Interrupting.chosen.clear()

    async def story(world: World) -> None:
        allowed = frozenset({"interrupt"} if switched_on else {"cut"})
        explorer = Explorer(world=world, machines=[Interrupting], faults=allowed)
        result = await explorer.explore(Batch(number=0, seed=1, schedules=8))
        assert (result.schedules, result.findings) == (8, ())

    in_world(server, template(tmp_path), story)
    assert bool(Interrupting.chosen) is switched_on
