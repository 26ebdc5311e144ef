"""`delivery = "at-most-once"`: a claim may end its job, a crash may lose it, and nobody runs it twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import frozen

from pgqmodel.explore.shrinking import attempt
from pgqmodel.operations import CLAIM, OPERATIONS, operations_of
from pgqmodel.server import Cluster
from pgqmodel.steps import Crash, Drain, Step
from pgqmodel.target import Target, load
from pgqmodel.world import World
from quality.test_cases import FOLDER
from world.stories import advance, begin, in_world, on

ENQUEUE, CLAIM_IT = begin("P", "enqueue"), begin("A", "claim")
CRASHED = (ENQUEUE, CLAIM_IT, on(Crash, "A"))
LAPSED = (advance(31), begin("M", "reclaim"), begin("B", "claim"))

LEFT = ("since < now() - interval '30 seconds'", "false")
"""A reclaim that never finds a job."""
RETURNS_ONE = (
    'statements = ["DELETE FROM q WHERE id = (SELECT id FROM q ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING',
    'transaction = true\nstatements = ["DELETE FROM q WHERE id > 1", "DELETE FROM q RETURNING',
)
"""A claim that removes every job and returns the first."""
LEAST = ('"at-most-once"\n[', '"at-least-once"\n[')


@frozen(kw_only=True)
class Story:
    """A story on a target file, with changes of its text, and the anomaly that it ends in; none if it holds."""

    file: str
    steps: tuple[Step, ...]
    anomaly: str = ""
    change: tuple[tuple[str, str], ...] = ()


STORIES = {
    "a crash loses a job that its claim removed": Story(file="delete-on-claim", steps=(*CRASHED, on(Drain))),
    "a claim that ends its job leaves its row": Story(
        file="at-most-once", steps=(*CRASHED, on(Drain)), change=(("SET st = 'r'", "SET st = 'd'"),)
    ),
    "at least once, removing a row loses its job": Story(
        file="delete-on-claim-at-least-once", steps=CRASHED, anomaly="lost-job"
    ),
    "a claim that removes a job and does not return it loses it": Story(
        file="delete-on-claim",
        steps=(ENQUEUE, ENQUEUE, CLAIM_IT),
        anomaly="lost-job",
        change=(RETURNS_ONE,),
    ),
    "a job that was given to the next worker is run twice": Story(
        file="at-most-once-reclaimed", steps=(*CRASHED, *LAPSED), anomaly="double-claim"
    ),
    "a job that failed for good is run once": Story(file="at-most-once", steps=(*CRASHED, *LAPSED, on(Drain))),
    "a job that was left running by a crash is no stuck one": Story(
        file="at-most-once", steps=(*CRASHED, on(Drain)), change=(LEFT,)
    ),
    "at least once it is": Story(
        file="at-most-once", steps=(*CRASHED, on(Drain)), anomaly="stuck-job", change=(LEFT, LEAST)
    ),
}


def changed(story: Story, directory: Path) -> Target:
    """The target of a story."""
    text = (FOLDER / f"{story.file}.toml").read_text(encoding="utf-8")
    for before, after in story.change:
        assert before in text
        text = text.replace(before, after)
    path = directory / "queue.toml"
    path.write_text(text, encoding="utf-8")
    return load(str(path))


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_a_job_is_run_once_at_most(server: Cluster, story: Story, tmp_path: Path) -> None:
    """What a crash may do to a job is no anomaly, and everything else that loses or doubles one is."""
    ends: list[str] = []

    async def tell(world: World) -> None:
        finding = await attempt(world, story.steps)
        ends.append(finding.broken.anomaly if finding is not None else "")

    in_world(server, changed(story, tmp_path), tell)
    assert ends == [story.anomaly]


GIVEN_BACK = """
[operations.retry]
statements = ["UPDATE q SET st = 'q' WHERE id = %(job)s::bigint AND st = 'r'"]
"""


def test_a_job_that_its_worker_gave_back_may_be_run_again(server: Cluster, tmp_path: Path) -> None:
    """To ask for another run is no crash: who does so knows what was done."""
    path = tmp_path / "queue.toml"
    path.write_text((FOLDER / "at-most-once.toml").read_text(encoding="utf-8") + GIVEN_BACK, encoding="utf-8")

    async def tell(world: World) -> None:
        steps = (ENQUEUE, CLAIM_IT, begin("A", "retry"), begin("B", "claim"), on(Drain))
        assert await attempt(world, steps) is None

    in_world(server, load(str(path)), tell)


def test_only_there_a_claim_may_end_a_job() -> None:
    """The common claim takes a job and leaves its row, whatever a target of another delivery says."""
    ends = [move for move in operations_of("at-most-once")[CLAIM.name].moves if move not in CLAIM.moves]
    assert sorted((str(move.before), str(move.after)) for move in ends) == [
        ("pending", "None"),
        ("pending", "completed"),
        ("waiting", "None"),
        ("waiting", "completed"),
    ]
    assert operations_of(None) is operations_of("at-least-once") is OPERATIONS
