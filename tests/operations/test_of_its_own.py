"""An operation that is not ours, in one file: a target describes it, a world runs it, and the judge knows its moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from pgqmodel.errors import TargetError
from pgqmodel.explore.judged import AnomalyFound, Run
from pgqmodel.explore.recorded_schedule import Recorded
from pgqmodel.history import Returned, render
from pgqmodel.operations import OPERATIONS, SETTLEMENTS, Meaning, Move, Operation, Role, State, Status
from pgqmodel.report.story import _answer
from pgqmodel.server import Cluster
from pgqmodel.target import Target, load, write_template
from pgqmodel.world import World
from world.stories import begin, in_world

EXPIRE = Operation(
    name="expire",
    role=Role.PRODUCER,
    parameters=("job",),
    moves=(Move(State.PENDING, State.FAILED, Meaning.CANCELLED),),
    answers={Status.OK: "expired {job}"},
)
SQL = """
[operations.expire]
statements = ["UPDATE jobs SET status = 'dead' WHERE id = %(job)s::bigint AND status = 'queued'"]
"""


def added(operation: Operation) -> Iterator[None]:
    """The operation, known while a test runs."""
    OPERATIONS.add(operation)
    yield
    OPERATIONS.remove(operation.name)


@pytest.fixture
def _known() -> Iterator[None]:
    yield from added(EXPIRE)


@pytest.fixture
def _known_to_move_nothing() -> Iterator[None]:
    yield from added(evolve(EXPIRE, moves=()))


def queue(directory: Path) -> Target:
    """The template's queue with the operation."""
    path = write_template(directory)[1]
    path.write_text(path.read_text(encoding="utf-8") + SQL, encoding="utf-8")
    return load(str(path))


STORY = [begin("P", "enqueue"), begin("P", "expire", job="J1"), begin("A", "claim")]


@pytest.mark.usefixtures("_known")
def test_what_it_may_do_is_no_anomaly(server: Cluster, tmp_path: Path) -> None:
    """A target file may describe it, its client runs it, and the change that it may make is judged as its own."""

    async def story(world: World) -> None:
        await Run(world=world).follow(Recorded(schedule=STORY))
        assert '"operation": "expire"' in render(world.history)
        assert world.observer.jobs["J1"].state is State.FAILED
        assert begin("P", "enqueue") in world.enabled()
        assert begin("P", "expire", job="J1") in world.enabled()

    in_world(server, queue(tmp_path), story)
    done = Returned(step=2, client="P", call=2, status=Status.OK, job="J1")
    assert _answer("expire", done) == "expired J1"


@pytest.mark.usefixtures("_known_to_move_nothing")
def test_what_it_may_not_do_is_one(server: Cluster, tmp_path: Path) -> None:
    """The same change by an operation that may not make it loses a job."""

    async def story(world: World) -> None:
        with pytest.raises(AnomalyFound, match="lost-job"):
            await Run(world=world).follow(Recorded(schedule=STORY))

    in_world(server, queue(tmp_path), story)


def test_nobody_knows_it_when_it_is_gone(tmp_path: Path) -> None:
    """An operation that was taken out again leaves nothing: a target that describes it is refused."""
    for _ in added(evolve(EXPIRE, settles=True)):
        assert "expire" in SETTLEMENTS
    assert "expire" not in SETTLEMENTS
    with pytest.raises(TargetError, match="expire"):
        queue(tmp_path)
