"""What was found is kept: a finding shrinks to its shortest story, and that comes back every time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import evolve, frozen

from pgqmodel.explore.batches import Explorer
from pgqmodel.explore.replaying import ReplayVerdict
from pgqmodel.history import render
from pgqmodel.machine import Finding
from pgqmodel.report.sentences import told
from pgqmodel.server import Cluster
from pgqmodel.steps import Advance, Connect, Crash, Cut, Deadlock, Drain, Fate, Restart, Step
from pgqmodel.target import Target, load
from pgqmodel.trace import Trace, loads
from pgqmodel.world import open_world
from world.stories import BUGS, advance, begin, go, on, template

pytestmark = pytest.mark.both_majors

TIMES = 20
ENQUEUE = begin("P", "enqueue")
NOISE = (
    begin("P", "enqueue"),
    begin("C", "claim"),
    begin("C", "heartbeat", stop=1),
    on(Crash, "C"),
)


@frozen(kw_only=True)
class Kind:
    """A kind of finding: a bug that shows it, what it takes to show, and how few choices tell it."""

    bug: str
    steps: Sequence[Step]
    shrunk_steps: int


KINDS = {
    "crash": Kind(
        bug="stuck-job--no-first-heartbeat",
        steps=(ENQUEUE, begin("B", "claim"), *NOISE, on(Crash, "B"), on(Drain)),
        shrunk_steps=2,
    ),
    "lost answer": Kind(
        bug="stale-settlement--fence-of-a-second",
        steps=(
            ENQUEUE,
            begin("B", "claim"),
            *NOISE,
            begin("B", "retry", stop=1),
            Cut(client="B", fate=Fate.AFTER),
            begin("A", "claim", stop=2),
            go("A"),
            on(Connect, "B"),
            begin("B", "retry"),
        ),
        shrunk_steps=6,
    ),
    "deadlock": Kind(
        bug="deadlock--crosswise",
        steps=(
            *NOISE,
            ENQUEUE,
            begin("B", "claim"),
            begin("B", "complete", stop=2),
            begin("P", "cancel", stop=2, job="J2"),
            go("P"),
            go("B"),
            on(Deadlock, "P"),
        ),
        shrunk_steps=5,
    ),
    "clock": Kind(
        bug="zombie-heartbeat--by-id",
        steps=(
            ENQUEUE,
            begin("B", "claim", stop=2),
            go("B"),
            *NOISE,
            advance(301),
            begin("M", "reclaim", stop=1),
            go("M"),
            begin("A", "claim"),
            begin("B", "heartbeat"),
        ),
        shrunk_steps=5,
    ),
    "restart": Kind(
        bug="lost-job--unlogged-table",
        steps=(ENQUEUE, *NOISE, on(Restart), begin("A", "claim")),
        shrunk_steps=1,
    ),
}


def exploring(server: Cluster, target: Target, story: Callable[[Explorer], Awaitable[None]]) -> None:
    """Run a story with an explorer in a world of its own."""

    async def main() -> None:
        async with open_world(target, server) as world:
            await story(Explorer(world=world, machines=(), faults=frozenset()))

    trio.run(main, clock=trio.testing.MockClock())


async def shrunk(explorer: Explorer, kind: Kind) -> Trace:
    """The shortest story of what a kind's steps end in."""
    finding = await explorer.attempt(kind.steps, lenient=True)
    assert isinstance(finding, Finding)
    return (await explorer.shrink(finding, kind.bug, 0)).trace


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_finding_comes_back_every_time(server: Cluster, kind: Kind) -> None:
    """A finding is shrunk to its known size, and each replay ends in the same anomaly by the same history."""

    async def story(explorer: Explorer) -> None:
        trace = await shrunk(explorer, kind)
        assert (trace.anomaly, trace.shrunk_steps) == (kind.bug.partition("--")[0], kind.shrunk_steps), trace.steps
        replays = [await explorer.replay(trace) for _ in range(TIMES)]
        assert [replayed.verdict for replayed in replays] == [ReplayVerdict.REPRODUCED] * TIMES
        assert {replayed.step for replayed in replays} == {None}

    exploring(server, load(str(BUGS / f"{kind.bug}.toml")), story)


def test_a_lease_is_not_cut_short_by_the_time_of_statements(server: Cluster) -> None:
    """Another server's clock stands still between two steps: there a lease of 30 s is over after 31, not after 30."""
    kind = KINDS["clock"]

    async def story(explorer: Explorer) -> None:
        trace = await shrunk(explorer, kind)
        assert [step.seconds for step in trace.steps if isinstance(step, Advance)] == [31.0]
        explorer.world.database.clock.ticking = False
        assert (await explorer.replay(trace)).verdict is ReplayVerdict.REPRODUCED
        explorer.world.database.clock.ticking = True

    exploring(server, load(str(BUGS / f"{kind.bug}.toml")), story)


def test_shrinking_has_one_result(server: Cluster) -> None:
    """The same finding shrunk again gives the same trace, byte by byte."""
    kind = KINDS["lost answer"]

    async def story(explorer: Explorer) -> None:
        assert (await shrunk(explorer, kind)).dumps() == (await shrunk(explorer, kind)).dumps()

    exploring(server, load(str(BUGS / f"{kind.bug}.toml")), story)


def test_a_stored_trace_is_the_same_trace(server: Cluster) -> None:
    """What a trace is written as is read back as the same steps and the same history."""
    kind = KINDS["clock"]

    async def story(explorer: Explorer) -> None:
        trace = await shrunk(explorer, kind)
        again = loads(trace.dumps(), "trace.json")
        assert again == trace
        assert render(again.history) == render(trace.history)

    exploring(server, load(str(BUGS / f"{kind.bug}.toml")), story)


def test_another_target_does_not_reproduce_it(server: Cluster, tmp_path: Path) -> None:
    """On a queue without the bug the same steps break nothing, and the first difference is shown."""
    traces: list[Trace] = []

    async def find(explorer: Explorer) -> None:
        traces.append(await shrunk(explorer, KINDS["clock"]))

    async def story(explorer: Explorer) -> None:
        replayed = await explorer.replay(traces[0])
        assert (replayed.verdict, replayed.recorded is None, replayed.now is None) == (ReplayVerdict.GONE, False, False)
        assert replayed.step is not None

    exploring(server, load(str(BUGS / f"{KINDS['clock'].bug}.toml")), find)
    exploring(server, template(tmp_path), story)


def test_a_finding_that_does_not_come_back_is_reported_as_seen_once(server: Cluster) -> None:
    """What happened on a real server is told with the steps it was found in, and how often they gave it again."""
    kind = KINDS["clock"]

    async def story(explorer: Explorer) -> None:
        finding = await explorer.attempt(kind.steps, lenient=True)
        assert finding is not None
        lucky = evolve(finding, schedule=finding.schedule[:2])
        shrunk = await explorer.shrink(lucky, kind.bug, 0)
        assert shrunk.ending is not None
        assert (shrunk.ending.replayed, shrunk.trace.steps) == ("0 of 5", lucky.schedule)
        assert shrunk.trace.explanation[:-1] == told(finding.broken.facts)
        assert shrunk.trace.explanation[-1].startswith("Seen once, replayed 0 of 5 times")

    exploring(server, load(str(BUGS / f"{kind.bug}.toml")), story)


NUMBERED = """
name = "numbered"
setup_sql = '''
CREATE TABLE j (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, st text DEFAULT 'q');
CREATE FUNCTION once() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    IF obj_description('j'::regclass, 'pg_class') IS NOT NULL THEN RETURN false; END IF;
    COMMENT ON TABLE j IS 'outlives the story';
    RETURN true;
END $$;
'''
[promises]
final-states = true
[observe]
jobs = "SELECT id::text AS job, st AS state, {shown} AS attempt FROM j"
[observe.states]
pending = ["q"]
running = ["r"]
completed = ["d"]
[operations.enqueue]
statements = ["INSERT INTO j DEFAULT VALUES RETURNING id::text AS job"]
[operations.claim]
statements = ['''
UPDATE j SET st = 'r' WHERE id = (SELECT id FROM j WHERE st = 'q' OR (st = 'd' AND {odds})
ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id::text AS job''']
[operations.complete]
statements = ["UPDATE j SET st = 'd' WHERE id = %(job)s::bigint"]
"""
TAKEN_AGAIN = (*NOISE[:1], begin("A", "claim"), begin("A", "complete"), begin("B", "claim"))


@pytest.mark.parametrize(
    ("odds", "shown", "replayed"),
    [("once()", "1", "0 of 5"), ("true", "(SELECT max(xmin::text::bigint) FROM j)", "5 of 5")],
    ids=["never again", "other numbers each time"],
)
def test_chance_that_is_not_controlled_costs_no_finding(
    server: Cluster, tmp_path: Path, odds: str, shown: str, replayed: str
) -> None:
    """A bug that never comes back is told all the same; one that merely shows other numbers each time is shrunk."""
    target = tmp_path / "numbered.toml"
    target.write_text(NUMBERED.format(odds=odds, shown=shown))

    async def story(explorer: Explorer) -> None:
        finding = await explorer.attempt(TAKEN_AGAIN, lenient=True)
        assert finding is not None
        shrunk = await explorer.shrink(finding, str(target), 0)
        assert shrunk.ending is not None
        assert (shrunk.trace.anomaly, shrunk.ending.replayed) == ("resurrection", replayed)

    exploring(server, load(str(target)), story)
