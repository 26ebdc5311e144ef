"""A statement takes a microsecond of the server's time, and none of the story's."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.clock import START_US
from pgqmodel.server import Cluster
from pgqmodel.target import load
from pgqmodel.world import World
from world.stories import advance, begin, in_world, take

pytestmark = pytest.mark.both_majors

STAMPS = """
name = "stamps"
setup_sql = '''
CREATE TABLE j (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, st text DEFAULT 'q',
    due timestamptz DEFAULT now(), at timestamptz
);
'''
[promises]
exclusive-claim = true
[observe]
jobs = "SELECT id::text AS job, st AS state, due AS eligible_at FROM j"
[observe.states]
pending = ["q"]
running = ["r"]
completed = ["d"]
[operations.enqueue]
statements = ["INSERT INTO j DEFAULT VALUES RETURNING id::text AS job"]
[operations.claim]
statements = ['''
UPDATE j SET st = 'r', at = now()
WHERE id = (SELECT id FROM j WHERE st = 'q' AND due <= now() ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id::text AS job, at
''']
[operations.complete]
statements = ["UPDATE j SET st = 'd' WHERE id = %(job)s::bigint AND at = %(at)s"]
[operations.retry]
statements = ["UPDATE j SET st = 'q', due = now() + interval '10 seconds' WHERE id = %(job)s::bigint AND at = %(at)s"]
"""
CLAIMS = [begin("A", "claim"), begin("A", "retry"), advance(10), begin("B", "claim")]


def test_no_two_statements_have_the_same_stamp(server: Cluster, tmp_path: Path) -> None:
    """Stamps that fence or order differ, as on a real server; when a job is due, and what time it is, is told whole."""
    target = tmp_path / "stamps.toml"
    target.write_text(STAMPS)
    start = START_US / 1e6

    async def story(world: World) -> None:
        await world.reset(clean=True)
        await take(world, [begin("P", "enqueue"), begin("P", "enqueue"), advance(0.000_5), *CLAIMS])
        rows = world.side.query("SELECT due, at FROM j ORDER BY id")
        stamps = [stamp for row in rows for stamp in (row["due"], row["at"]) if stamp is not None]
        assert len(set(stamps)) == len(stamps) == 3
        assert {job.eligible_at for job in world.observer.jobs.values()} == {start, start + 10.000_5}
        assert world.now == start + 10.000_5

    in_world(server, load(str(target)), story)


def test_ticks_never_add_up_to_a_margin(server: Cluster) -> None:
    """However many statements a story has, a deadline that is tried a millisecond before it is not passed."""
    clock = server.clock
    assert clock is not None
    clock.reset(0)
    for _ in range(2000):
        clock.tick()
    assert (clock.now_us, clock.ticks < 1000) == (START_US, True)
    clock.reset(0)
    assert clock.ticks == 0
