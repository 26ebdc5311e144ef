"""The same steps tell the same story: byte by byte, whatever they contain, and on whichever server of a version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pgqmodel.explore.fair_ending import drain
from pgqmodel.history import Event, render
from pgqmodel.server import Cluster
from pgqmodel.steps import Connect, Crash, Cut, Deadlock, Fate, Restart, Step, Twin
from pgqmodel.target import Target, load
from pgqmodel.world import World, perform
from world.stories import BUGS, advance, begin, go, in_world, on, take, template

pytestmark = pytest.mark.both_majors

ENQUEUE = begin("P", "enqueue")
CLAIM = begin("A", "claim")
STORIES = {
    "crash": [ENQUEUE, begin("A", "claim", stop=2), on(Crash, "A"), begin("B", "claim"), begin("B", "complete")],
    "lost answer": [
        ENQUEUE,
        begin("A", "claim", stop=2),
        Cut(client="A", fate=Fate.AFTER),
        on(Connect, "A"),
        begin("A", "claim"),
    ],
    "lost request": [ENQUEUE, begin("A", "claim", stop=1), on(Cut, "A"), begin("B", "claim")],
    "clock": [ENQUEUE, CLAIM, advance(31), begin("M", "reclaim"), begin("B", "claim"), begin("A", "complete")],
    "lock wait": [
        ENQUEUE,
        CLAIM,
        begin("A", "complete", stop=2),
        begin("P", "cancel", job="J1"),
        go("A"),
        begin("B", "claim"),
    ],
    "twin": [ENQUEUE, ENQUEUE, CLAIM, on(Twin, "A"), begin("A2", "claim", stop=2), go("A2")],
    "restart": [ENQUEUE, CLAIM, begin("A", "complete", stop=2), on(Restart), begin("B", "claim")],
}
DEADLOCK = [
    ENQUEUE,
    CLAIM,
    begin("A", "complete", stop=2),
    begin("P", "cancel", stop=2, job="J1"),
    go("P"),
    go("A"),
    on(Deadlock, "A"),
    go("P"),
]


async def told(world: World, steps: Sequence[Step], *, drained: bool = True) -> list[Event]:
    """What a clean world has to tell after some steps and a drain."""
    await world.reset(clean=True)
    await take(world, steps)
    for step in drain(world) if drained else ():
        await perform(world, step)
    return list(world.history)


def same_twice(server: Cluster, target: Target, steps: Sequence[Step]) -> None:
    """Take steps twice in one world, and once in another."""
    tales: list[str] = []

    async def story(world: World) -> None:
        for _ in range(2 - len(tales) // 2):
            tales.append(render(await told(world, steps)))

    in_world(server, target, story)
    in_world(server, target, story)
    assert tales[0] == tales[1] == tales[2]


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_told_the_same(server: Cluster, tmp_path: Path, name: str) -> None:
    """Faults, lost answers, time and restarts are in the steps' hands: a second telling has the same bytes."""
    same_twice(server, template(tmp_path), STORIES[name])


def test_a_deadlock_is_told_the_same(server: Cluster) -> None:
    """Which of two that wait for each other is the victim is a step, and not a race."""
    same_twice(server, load(str(BUGS / "deadlock--crosswise.toml")), DEADLOCK)


def test_another_server_tells_the_same(major: int, tmp_path: Path) -> None:
    """A story does not depend on which server of a version it is told on: a second one gives the same bytes."""
    tales: list[str] = []

    async def story(world: World) -> None:
        tales.append(render(await told(world, STORIES["clock"])))

    for _ in range(2):
        with Cluster(major) as cluster:
            in_world(cluster, template(tmp_path / str(len(tales))), story)
    assert tales[0] == tales[1]


@pytest.mark.parametrize("name", STORIES)
def test_a_drain_brings_every_job_to_its_end(server: Cluster, tmp_path: Path, name: str) -> None:
    """Whatever was left behind, a drain of a sound queue finishes, and every job with it."""

    async def story(world: World) -> None:
        await told(world, STORIES[name])
        assert {job.state.value for job in world.observer.jobs.values()} <= {"completed", "cancelled"}
        assert not world.waiting()
        assert all(client.idle and client.belief is None for client in world.clients.values())

    in_world(server, template(tmp_path), story)


def test_a_fast_reset_tells_the_same_as_a_clean_one(server: Cluster, tmp_path: Path) -> None:
    """Between the stories of a batch rows are only deleted; the next story begins as the first one did."""

    async def story(world: World) -> None:
        clean = await told(world, STORIES["clock"])
        await take(world, ())
        await world.reset()
        await take(world, STORIES["clock"])
        for step in drain(world):
            await perform(world, step)
        assert render(world.history) == render(clean)

    in_world(server, template(tmp_path), story)


CHANCE = """
name = "chance"
setup_sql = '''
CREATE TABLE j (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), st text DEFAULT 'q', token uuid, odds float8, mixed text
);
'''
[promises]
exclusive-claim = true
[observe]
jobs = "SELECT id::text AS job, st AS state FROM j"
[observe.states]
pending = ["q"]
running = ["r"]
completed = ["d"]
[operations.enqueue]
statements = ["INSERT INTO j DEFAULT VALUES RETURNING id::text AS job"]
[operations.claim]
statements = ['''
UPDATE j SET st = 'r', token = gen_random_uuid(), odds = %(odds)s, mixed = %(mixed)s
WHERE id = (SELECT id FROM j WHERE st = 'q' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id::text AS job, token, odds, mixed
''']
[operations.complete]
statements = ["UPDATE j SET st = 'd' WHERE id = %(job)s::uuid AND token = %(token)s::uuid"]
"""
SEVERAL_LIVES = [ENQUEUE, ENQUEUE, ENQUEUE, CLAIM, begin("B", "claim"), on(Crash, "A"), begin("A", "claim")]


@pytest.mark.parametrize(
    ("odds", "mixed"),
    [
        ("0", "''"),
        ("random()", "''"),
        ("random_normal()", "''"),
        ("0", "array_shuffle(array[1,2,3,4,5,6,7,8,9])::text"),
    ],
)
def test_chance_is_in_the_hands_of_the_seed(server: Cluster, tmp_path: Path, odds: str, mixed: str) -> None:
    """Keys, tokens, jitter and shuffled arrays come back to the byte, in kept sessions and in new ones.

    Another seed has others, and nobody draws in a new life, or under another name, what was drawn before.
    """
    target = tmp_path / "chance.toml"
    target.write_text(CHANCE.replace("%(odds)s", odds).replace("%(mixed)s", mixed))
    queue = load(str(target))
    same_twice(server, queue, SEVERAL_LIVES)
    drawn: list[dict[str, str]] = []

    async def story(world: World) -> None:
        for world.chance in (1, 2):
            await told(world, SEVERAL_LIVES, drained=False)
            drawn.extend(world.side.query("SELECT token, odds, mixed FROM j WHERE token IS NOT NULL"))

    in_world(server, queue, story)
    different = [len({row[column] for row in drawn}) for column in ("token", "odds", "mixed")]
    assert different == [6, 1 if odds == "0" else 6, 1 if mixed == "''" else 6]
