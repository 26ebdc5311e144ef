"""What a worker does with the jobs of a batch: each by itself, or all of them at once, as the file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.errors import TargetError
from pgqmodel.operations import State
from pgqmodel.server import Cluster
from pgqmodel.target import Target, load
from pgqmodel.world import World
from world.stories import begin, in_world, take

TOKEN = "batch = %(batch)s"
OWN = "id = %(job)s::bigint AND batch = %(batch)s"
LIST = "id = ANY(%(jobs)s::bigint[])"
FILE = """
name = "batches"
setup_sql = "CREATE TABLE q (id bigserial PRIMARY KEY, state text NOT NULL DEFAULT 'new', batch uuid)"
{worker}
[promises]
no-lost-job = true
[observe]
jobs = "SELECT id::text AS job, state FROM q"
[observe.states]
pending = ["new"]
running = ["busy"]
completed = ["done"]
[operations.enqueue]
statements = ["INSERT INTO q DEFAULT VALUES RETURNING id::text AS job"]
[operations.claim]
transaction = true
statements = [
    "SELECT gen_random_uuid() AS batch",
    "UPDATE q SET state = 'busy', batch = %(batch)s WHERE state = 'new' RETURNING id::text AS job, batch",
]
[operations.complete]
statements = ["UPDATE q SET state = 'done' WHERE {which}"]
"""


def _target(directory: Path, which: str, settles: str = "") -> Target:
    path = directory / "batches.toml"
    path.write_text(FILE.format(which=which, worker=f"[worker]\nsettles = '{settles}'" if settles else ""))
    return load(str(path))


@pytest.mark.parametrize(
    ("which", "settles", "held"),
    [(TOKEN, "all", 0), (LIST, "all", 0), (LIST, "", 0), (OWN, "each", 1), (OWN, "", 1)],
    ids=["a token", "a list", "a list, of itself", "each", "each, of itself"],
)
def test_a_settlement_is_about_one_job_or_all(
    server: Cluster, tmp_path: Path, which: str, settles: str, held: int
) -> None:
    """A worker that settles its batch by what the jobs have in common holds none of them afterwards."""

    async def story(world: World) -> None:
        await take(world, [begin("P", "enqueue"), begin("P", "enqueue"), begin("A", "claim"), begin("A", "complete")])
        left = [job for job in world.observer.jobs.values() if job.state is State.RUNNING]
        assert len(left) == len(world.clients["A"].held) == held

    in_world(server, _target(tmp_path, which, settles), story)


@pytest.mark.parametrize(("which", "settles"), [(OWN, "all"), (LIST, "each")])
def test_the_file_does_not_contradict_itself(tmp_path: Path, which: str, settles: str) -> None:
    """A settlement of one job, where all are settled at once, is refused; so is the other way round."""
    with pytest.raises(TargetError, match="expected %"):
        _target(tmp_path, which, settles)
