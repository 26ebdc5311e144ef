"""Real bugs of real libraries are found in the versions that have them, and in no other. They install packages.

`pytest tests/zoo --zoo` runs them, and `nox -s quality` does; without the option they are skipped.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from pgqmodel.explore.judged import Finding
from pgqmodel.explore.shrinking import attempt
from pgqmodel.history import render
from pgqmodel.server import Cluster
from pgqmodel.steps import Step
from pgqmodel.target import load
from pgqmodel.world import open_world
from zoo.manifest import ZOO, Specimen


@pytest.fixture(autouse=True)
def _asked_for(pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("--zoo", False):
        pytest.skip("it installs packages: `nox -s quality` runs it")


def told(server: Cluster, name: str, steps: Sequence[Step], *, times: int) -> list[Finding | None]:
    """Take the steps several times, each from a clean database; the findings that end them."""
    target = load(name)

    async def main() -> list[Finding | None]:
        async with open_world(target, server, workers=target.workers) as world:
            return [await attempt(world, steps, lenient=True) for _ in range(times)]

    return trio.run(main, clock=trio.testing.MockClock())


@pytest.mark.parametrize("specimen", ZOO, ids=lambda specimen: specimen.name)
def test_a_bug_is_seen_where_it_is(server: Cluster, specimen: Specimen) -> None:
    """The steps break the promise in the version that has the bug, twice with the same history."""
    once, again = told(server, specimen.bad, specimen.steps, times=2)
    assert once is not None
    assert again is not None
    assert once.broken.anomaly == specimen.anomaly
    assert render(once.told) == render(again.told)


@pytest.mark.parametrize(
    "specimen", [each for each in ZOO if each.good], ids=lambda specimen: f"{specimen.name}-mended"
)
def test_a_mended_version_keeps_its_promise(server: Cluster, specimen: Specimen) -> None:
    """The same steps break nothing in the version that has been mended."""
    (found,) = told(server, specimen.good, specimen.steps, times=1)
    assert found is None
