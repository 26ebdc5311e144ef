"""A finding of random keys and tokens comes back by names: on the embedded server, and on one that is not ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import evolve

from pgqmodel.explore.replaying import Replayed, ReplayVerdict, replay
from pgqmodel.explore.shrinking import attempt
from pgqmodel.explore.tracing import record
from pgqmodel.report import markdown, text
from pgqmodel.server import Cluster, External, Server
from pgqmodel.target import Target, load
from pgqmodel.trace import Trace, loads
from pgqmodel.world import open_world
from world.stories import advance, begin

QUEUE = """
name = "drawn"
setup_sql = '''
CREATE TABLE q (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), place bigint GENERATED ALWAYS AS IDENTITY,
  st text NOT NULL DEFAULT 'q', token uuid, until timestamptz, due timestamptz NOT NULL DEFAULT now());
'''
[promises]
fenced-settlement = true
claim-order = ["place asc", "token asc", "due asc"]
[observe]
jobs = "SELECT id AS job, st AS state, token AS holder, due AS eligible_at, place, token, due FROM q"
[observe.states]
pending = ["q"]
running = ["r"]
completed = ["d"]
[operations.enqueue]
statements = ["INSERT INTO q DEFAULT VALUES RETURNING id AS job"]
[operations.claim]
statements = ['''
UPDATE q SET st = 'r', token = gen_random_uuid(), until = now() + interval '30 s' WHERE id =
  (SELECT id FROM q WHERE st = 'q' AND due <= now() ORDER BY place LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id AS job, token, until, jsonb_build_object('of', id, 'drawn', random())::text AS note''']
[operations.complete]
statements = ['''
UPDATE q SET st = 'd' WHERE id = %(job)s::uuid
  AND (%(token)s::uuid, %(until)s::timestamptz, %(note)s::jsonb) IS NOT NULL''']
[operations.retry]
statements = ['''
UPDATE q SET st = 'q', due = now() + random() * interval '9 s' WHERE id = %(job)s::uuid AND token = %(token)s''']
[operations.reclaim]
statements = ["UPDATE q SET st = 'q' WHERE st = 'r' AND until < now()"]
"""
LATE = (
    begin("P", "enqueue"),
    begin("P", "enqueue"),
    begin("A", "claim"),
    begin("B", "claim"),
    begin("B", "retry"),
    advance(31),
    begin("M", "reclaim"),
    begin("C", "claim"),
    begin("A", "complete"),
)
"""C has A's job, and A completes it: nothing compares the token."""
TIMES = 10
_TOKEN = re.compile("[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}")


@pytest.fixture(scope="module")
def elsewhere(major: int) -> Iterator[External]:
    """A server whose clock and chance are its own, by URL."""
    with Cluster(major, clock=False) as cluster, External(cluster.conninfo()) as external:
        yield external


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The queue."""
    path: Path = tmp_path_factory.mktemp("drawn") / "drawn.toml"
    path.write_text(QUEUE, encoding="utf-8")
    return load(str(path))


def found(server: Server, target: Target, seed: int = 1) -> Trace:
    """The finding in a world of its own on a server."""
    traces: list[Trace] = []

    async def main() -> None:
        async with open_world(target, server) as world:
            world.chance = seed
            finding = await attempt(world, LATE)
            assert finding is not None
            traces.append(record(world, finding, source="drawn.toml", seed=seed))

    trio.run(main, clock=trio.testing.MockClock())
    return traces[0]


def replayed(server: Server, target: Target, trace: Trace, times: int) -> list[Replayed]:
    """The finding again, so many times."""
    seen: list[Replayed] = []

    async def main() -> None:
        async with open_world(target, server) as world:
            seen.extend([await replay(world, trace) for _ in range(times)])

    trio.run(main, clock=trio.testing.MockClock())
    return seen


def alike(traces: list[Replayed]) -> set[tuple[ReplayVerdict, str | None, str | None]]:
    """What replays came to, and where they differ from the record."""
    return {(each.verdict, each.recorded, each.now) for each in traces}


SAME = {(ReplayVerdict.REPRODUCED, None, None)}


def test_a_finding_of_random_values_is_the_same_story_everywhere(
    server: Cluster, elsewhere: External, drawn: Target
) -> None:
    """Found on the embedded server it replays by names, there and by URL, where its values are others each time."""
    trace = found(server, drawn)
    here, there = replayed(server, drawn, trace, TIMES), replayed(elsewhere, drawn, trace, 3)
    assert alike(here) == alike(there) == SAME
    assert {tuple(each.names.items()) for each in here} == {tuple(trace.names.items())}
    assert {each.names["J1"] for each in there}.isdisjoint({trace.names["J1"]})
    assert list(there[0].names) == list(trace.names)


def test_two_findings_by_url_have_the_same_bytes_but_for_their_values(elsewhere: External, drawn: Target) -> None:
    """What remains is the table of names, and the moments of a delay that was drawn."""
    first, second = (evolve(found(elsewhere, drawn), names={}).dumps() for _ in range(2))
    due = re.compile(r'"(due|eligible_at)": [0-9.]+')
    assert due.sub("", first) == due.sub("", second)


def test_no_reader_sees_a_random_value_but_in_the_table(server: Cluster, drawn: Target) -> None:
    """A story tells J1 and token 1; the report's table says once what each was."""
    trace = loads(found(server, drawn).dumps(), "trace.json")
    assert list(trace.names)[:4] == ["J1", "J2", "token 1", "token 2"]
    told, report = text.render(trace), markdown.render(trace, path="trace.json", spec=False)
    assert "running (token 1)" in told
    assert '$1 = J1, $2 = token 1, $3 = stamp 1, $4 = \'{"of": "J1"' in report
    assert "J1 was " in told
    assert report.count(trace.names["J1"]) == told.count(trace.names["J1"]) == 1
    assert "stamp 1" not in told, "a table has the names that its story tells, and no others"
    without = [line for line in told.splitlines() if not re.match(r"(J|token )\d+ was ", line)]
    assert not any(map(_TOKEN.search, without))


def test_a_trace_of_an_earlier_version_still_replays(server: Cluster, drawn: Target) -> None:
    """It has no names, and values in its history: the same ones come again, and are compared by their names."""
    trace = found(server, drawn)
    seen: list[Replayed] = []

    async def main() -> None:
        async with open_world(drawn, server) as world:
            world.chance = trace.seed
            finding = await attempt(world, LATE)
            assert finding is not None
            old = evolve(trace, history=finding.history, names={})
            assert "names" in old.to_json()
            record_of_old = {name: value for name, value in old.to_json().items() if name != "names"}
            seen.append(await replay(world, Trace.from_json(record_of_old)))

    trio.run(main, clock=trio.testing.MockClock())
    assert alike(seen) == SAME
