"""`%(now)s` is the time by the client's own clock, and `clock_skew_seconds` lets the clocks of clients differ."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pgqmodel.clock import offset_seconds
from pgqmodel.explore.replaying import Replayed, ReplayVerdict, replay
from pgqmodel.explore.shrinking import attempt
from pgqmodel.explore.tracing import record
from pgqmodel.history import Connected
from pgqmodel.report.story import tell
from pgqmodel.server import Cluster
from pgqmodel.steps import Step
from pgqmodel.target import load
from pgqmodel.trace import Trace
from pgqmodel.world import World
from quality.test_cases import FOLDER
from world.stories import advance, begin, in_world

BOUND = 5.0
AGE_SECONDS = 25.0
"""Of a lease of 30 s: by two clocks that are 10 s apart it is 35 s old, and the margin of the queue is 4 s."""


def early(worker: str, maintenance: str) -> Sequence[Step]:
    """A claim, and a reclaim before its lease has lapsed."""
    return (begin("P", "enqueue"), begin(worker, "claim"), advance(AGE_SECONDS), begin(maintenance, "reclaim"))


PAIRS = [(worker, maintenance) for worker in ("A", "B") for maintenance in ("M", "M2")]


def test_a_lease_by_the_clients_clocks_breaks_where_they_differ(server: Cluster) -> None:
    """One pair of a worker and maintenance is as far apart as may be; the trace names their clocks, and replays."""
    found: list[tuple[Trace, Replayed]] = []

    async def story(world: World) -> None:
        for pair in PAIRS:
            finding = await attempt(world, early(*pair))
            if finding is not None:
                trace = record(world, finding, source="client-clock-skewed.toml", seed=world.chance)
                found.append((trace, await replay(world, trace)))

    in_world(server, load(str(FOLDER / "client-clock-skewed.toml")), story)
    ((trace, replayed),) = found
    assert (trace.anomaly, replayed.verdict, replayed.step) == ("early-reclaim", ReplayVerdict.REPRODUCED, None)
    worker, maintenance = trace.steps[1].client, trace.steps[3].client
    assert trace.explanation[-1] == (
        f"Clocks differ from the server's: {worker}'s is 5 s behind, {maintenance}'s is 5 s ahead."
    )
    assert tell(trace).says("(its clock is 5 s ahead)")
    ahead = {event.client: event.ahead for event in trace.history if isinstance(event, Connected)}
    assert (ahead["P"], abs(ahead["A"])) == (0.0, BOUND), "a producer of this queue does not ask for the time"


def test_a_lease_by_the_clients_clocks_holds_where_they_are_right(server: Cluster) -> None:
    """Without the setting every client has the story's time, and the same steps break nothing."""

    async def story(world: World) -> None:
        for pair in PAIRS:
            assert await attempt(world, early(*pair)) is None
        assert not any(event.ahead for event in world.history if isinstance(event, Connected))

    in_world(server, load(str(FOLDER / "client-clock.toml")), story)


def test_a_clock_is_off_by_what_the_seed_says_and_no_more() -> None:
    """Later clients lie anywhere within the bound; the first two of a role at its two ends, whichever the seed."""
    later = {offset_seconds("w7", bound=BOUND, seed=seed) for seed in range(50)}
    assert len(later) > 25
    assert all(-BOUND <= each <= BOUND for each in later)
    ends = [
        tuple(
            offset_seconds(name, bound=BOUND, seed=seed, role="worker", place=place) for place, name in enumerate("AB")
        )
        for seed in range(50)
    ]
    assert set(ends) == {(BOUND, -BOUND), (-BOUND, BOUND)}


@pytest.mark.parametrize("seed", [1, 2])
def test_two_stamps_of_clients_are_never_the_same(server: Cluster, seed: int) -> None:
    """Two calls that begin at one moment of the story take down two times, as those of a real server are."""

    async def story(world: World) -> None:
        world.chance = seed
        await attempt(world, (begin("P", "enqueue"), begin("A", "claim"), begin("P", "enqueue"), begin("B", "claim")))
        beats = [row["beat"] for row in world.side.query("SELECT beat FROM q")]
        assert len(set(beats)) == len(beats) == 2

    in_world(server, load(str(FOLDER / "client-clock.toml")), story)
