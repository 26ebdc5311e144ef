"""Several producers and maintenance clients: how they race, what the second one is not blamed for, and who is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import evolve

from pgqmodel.explore.batches import Explorer
from pgqmodel.explore.judged import AnomalyFound, Run
from pgqmodel.explore.recorded_schedule import Recorded
from pgqmodel.explore.replaying import ReplayVerdict
from pgqmodel.history import Invoked
from pgqmodel.operations import Role
from pgqmodel.server import Cluster
from pgqmodel.steps import Crash, Drain, Step
from pgqmodel.target import load
from pgqmodel.target.program import compile_statement
from pgqmodel.trace import Trace
from pgqmodel.world import World
from world.stories import BUGS, advance, begin, go, in_world, on, template

SOUND = Path(__file__).parent.parent / "quality" / "sound" / "several-of-each.toml"
DOUBLED = (begin("P2", "enqueue", stop=3, unique_key="k"), begin("P", "enqueue", unique_key="k"), go("P2"))
REAPED = (
    begin("P", "enqueue"),
    begin("A", "claim"),
    advance(31),
    begin("M2", "reclaim", stop=2),
    begin("M", "reclaim"),
    begin("B", "claim"),
    go("M2"),
)
MARK = compile_statement("here", "SET work_mem = '8MB'")
LED = (begin("P", "enqueue"), begin("M2", "reclaim"), begin("A", "claim"), on(Crash, "A"), on(Drain))
FOUND_LATE = (
    begin("P", "enqueue", stop=2, unique_key="k"),
    begin("P2", "enqueue", stop=2, unique_key="k"),
    go("P"),
    begin("A", "claim"),
    begin("A", "complete"),
    go("P2"),
)


def judged(server: Cluster, target: Path, steps: Sequence[Step]) -> list[str]:
    """Take the steps of a story on a target: the clients that began something, if nothing breaks."""
    acted: list[str] = []

    async def story(world: World) -> None:
        await Run(world=world).follow(Recorded(schedule=steps))
        acted.extend(event.client for event in world.history if isinstance(event, Invoked))

    in_world(server, load(str(target)), story)
    return acted


@pytest.mark.parametrize(
    ("bug", "steps"),
    [("duplicate-key--check-then-insert", DOUBLED), ("early-reclaim--two-reapers", REAPED)],
    ids=["producers", "maintenance"],
)
def test_two_of_a_role_race(server: Cluster, bug: str, steps: Sequence[Step]) -> None:
    """Two producers that look before they insert double a key; of two that list the silent, one takes a live job."""
    with pytest.raises(AnomalyFound, match=bug.partition("--")[0]):
        judged(server, BUGS / f"{bug}.toml", steps)


def test_who_leads_gets_a_turn(server: Cluster) -> None:
    """Where one maintenance client leads, a story's end waits for it, and the others' idleness is no broken promise."""
    assert judged(server, SOUND, LED).count("M2") > 1


def test_a_story_of_one_reclaimer_ends_with_one(server: Cluster) -> None:
    """A maintenance client that has had no part in the story gets none at its end."""
    told = tuple(evolve(step, client="M") if step.client == "M2" else step for step in LED)
    assert "M2" not in judged(server, SOUND, told)


def test_a_key_that_came_meanwhile_was_not_dropped(server: Cluster) -> None:
    """An enqueue that met another producer's job is answered with that job, though it is finished by then."""
    assert judged(server, SOUND, FOUND_LATE)[:2] == ["P", "P2"]


def test_the_second_is_not_named_where_one_does(server: Cluster) -> None:
    """Shrinking tells a story of one producer and one maintenance client without P2 and M2."""
    told = (begin("P2", "enqueue"), begin("A", "claim"), advance(31), begin("M2", "reclaim"), begin("A", "complete"))
    shrunk: list[Trace] = []

    async def story(world: World) -> None:
        explorer = Explorer(world=world, machines=(), faults=frozenset({"stall"}))
        finding = await explorer.attempt((*told[:4], begin("B", "claim"), told[4]))
        assert finding is not None
        shrunk.append((await explorer.shrink(finding, "here", 1)).trace)
        assert (await explorer.replay(shrunk[0])).verdict is ReplayVerdict.REPRODUCED

    in_world(server, load(str(BUGS / "stale-settlement--by-id.toml")), story)
    assert {step.client for step in shrunk[0].steps} == {"", "P", "A", "B", "M"}
    assert (shrunk[0].producers, shrunk[0].maintenance) == (2, 2)


def test_a_connection_is_kept_by_who_did_nothing(server: Cluster) -> None:
    """Where statements leave marks in a session, only the sessions that ran some are opened anew for the next story."""
    kept: dict[str, bool] = {}

    async def story(world: World) -> None:
        before = {name: client.connection for name, client in world.clients.items()}
        await Run(world=world).follow(Recorded(schedule=[begin("P", "enqueue"), begin("A", "claim")]))
        await world.reset()
        kept.update({name: client.connection is before[name] for name, client in world.clients.items()})

    target = load(str(BUGS / "early-reclaim--two-reapers.toml"))
    marking = evolve(target.operations["enqueue"], statements=(MARK, *target.operations["enqueue"].statements))
    in_world(server, evolve(target, operations={**target.operations, "enqueue": marking}), story)
    assert [name for name, is_kept in kept.items() if not is_kept] == ["P", "A"]


def test_there_are_two_of_each(server: Cluster, tmp_path: Path) -> None:
    """Unless a number is given, a story has two producers, two maintenance clients and three workers."""

    async def story(world: World) -> None:
        assert list(world.clients) == ["P", "P2", "M", "M2", "A", "B", "C"]
        assert [client.role for client in world.clients.values()].count(Role.WORKER) == 3

    in_world(server, template(tmp_path), story)
