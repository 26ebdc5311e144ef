"""A finding about a column of times, on a real server: what it says can be read beside the story's time column."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.explore.judged import AnomalyFound, Run
from pgqmodel.explore.recorded_schedule import Recorded
from pgqmodel.history import parse, render
from pgqmodel.report import told
from pgqmodel.server import Cluster
from pgqmodel.target import Target, load, write_template
from pgqmodel.world import World
from world.stories import advance, begin, in_world

DUE = """CASE %(priority)s
  WHEN 1 THEN 'infinity' WHEN 2 THEN '9999-12-31 23:59:59+00' WHEN 3 THEN '12000-01-01 00:00:00+00' ELSE now() END"""
CHANGES = (
    ('claim-order = ["priority desc", "id asc"]', 'claim-order = ["due asc"]'),
    ("attempts AS attempt, priority FROM jobs", "attempts AS attempt, due FROM jobs"),
    ("(payload, priority) VALUES (%(payload)s, %(priority)s)", f"(payload, due) VALUES (%(payload)s, {DUE})"),
    ("ORDER BY priority DESC, id LIMIT 1", "ORDER BY due DESC LIMIT 1"),
)
"""The template's queue, claiming the job that is due last first."""


def _latest_first(directory: Path, kind: str) -> Target:
    """The queue, with a column of times of some kind."""
    schema, path = write_template(directory)
    schema.write_text(f"{schema.read_text()}\nALTER TABLE jobs ADD due {kind};", encoding="utf-8")
    text = path.read_text(encoding="utf-8").replace('"""', "'''")
    for before, after in CHANGES:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text.replace('statements = ["INSERT', "statements = ['''INSERT").replace('AS job"]', "AS job''']"))
    return load(str(path))


@pytest.mark.parametrize(
    ("kind", "priority", "words"),
    [
        ("timestamptz", 0, "31 s"),
        ("timestamp", 0, "31 s"),
        ("timestamptz", 1, "infinity"),
        ("timestamptz", 2, "9999-12-31 23:59:59 UTC"),
        ("timestamptz", 3, "12000-01-01 00:00:00 UTC"),
    ],
)
def test_an_order_by_times_is_told_in_seconds(
    server: Cluster, tmp_path: Path, kind: str, priority: int, words: str
) -> None:
    """The explanation says 0 s and 31 s where the columns are times, and the history keeps numbers."""

    async def story(world: World) -> None:
        run = Run(world=world)
        steps = [begin("P", "enqueue"), advance(31), begin("P", "enqueue", priority=priority)]
        await run.follow(Recorded(schedule=steps))
        with pytest.raises(AnomalyFound) as caught:
            await run.take(begin("A", "claim"))
        found = caught.value.finding
        assert told(found.broken.facts)[0] == (
            f"A's claim could have had J1 (pending, due 0 s), which comes before J2 (pending, due {words}) by due asc."
        )
        assert parse(render(found.history)) == list(found.history)

    in_world(server, _latest_first(tmp_path, kind), story)
