"""Random values are part of the seed: what a server draws in a session depends on the seed, its name and its draws."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from pgqmodel.server import Cluster

DRAW = "SELECT gen_random_uuid()::text, random()"


@pytest.fixture(scope="module")
def cluster(major: int) -> Iterator[Cluster]:
    """A server whose clock and chance are ours."""
    with Cluster(major) as server:
        yield server


def drawn(cluster: Cluster, seed: int | None, *names: str) -> list[tuple[str, float]]:
    """What sessions of these names draw, one after the other; without a seed from where chance stands."""
    assert cluster.clock is not None
    if seed is not None:
        cluster.clock.reset(seed)
    rows = []
    for name in names:
        with psycopg.connect(cluster.conninfo(), application_name=name) as session:
            rows.append(session.execute(DRAW).fetchone())
    return rows  # type: ignore[return-value]


def test_the_same_seed_draws_the_same_values(cluster: Cluster) -> None:
    """Keys, tokens and jitter of one seed come again to the byte; another seed draws others."""
    first = drawn(cluster, 7, "A", "B", "A")
    assert drawn(cluster, 7, "A", "B", "A") == first
    assert {uuid for uuid, _ in first}.isdisjoint(uuid for uuid, _ in drawn(cluster, 8, "A", "B", "A"))


def test_a_name_that_connects_again_draws_what_it_has_not_drawn(cluster: Cluster) -> None:
    """A worker that is started again is not given the tokens of its former life, nor those of another worker."""
    values = drawn(cluster, 7, "A", "A", "B", "B") + drawn(cluster, None, "A")
    assert len({uuid for uuid, _ in values}) == 5
    assert len({number for _, number in values}) == 5


def test_a_session_does_not_change_what_another_draws(cluster: Cluster) -> None:
    """Which session comes first is left to the story: each has a stream of its own."""
    one, other = drawn(cluster, 7, "A", "B"), drawn(cluster, 7, "B", "A")
    assert one == other[::-1]


def test_a_uuid_is_still_one_of_version_four(cluster: Cluster) -> None:
    """The stream replaces the bytes of chance and not what Postgres makes of them."""
    ((uuid, number),) = drawn(cluster, 7, "A")
    assert (uuid[14], uuid[19] in "89ab", 0 <= number < 1) == ("4", True, True)


def test_a_crash_does_not_give_chance_back(cluster: Cluster) -> None:
    """After recovery a session goes on with new values, so that no key comes twice."""
    before = drawn(cluster, 7, "A")
    cluster.crash()
    cluster.restart()
    assert drawn(cluster, None, "A")[0][0] != before[0][0]


def test_without_a_seed_chance_is_real() -> None:
    """A server whose clock is not reset, as in a simulation at full speed, draws differently each time."""
    uuids = set()
    for _ in range(2):
        with Cluster() as server, psycopg.connect(server.conninfo(), application_name="A") as session:
            uuids.add(session.execute(DRAW).fetchone()[0])  # type: ignore[index]
    assert len(uuids) == 2
