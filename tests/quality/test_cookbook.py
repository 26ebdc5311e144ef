"""The cookbook is true: it shows every style, and each mistake that it warns of breaks what it says, as it tells it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pgqmodel.explore.judged import AnomalyFound, Run
from pgqmodel.explore.recorded_schedule import Recorded
from pgqmodel.explore.tracing import record
from pgqmodel.report.text import render
from pgqmodel.server import Cluster
from pgqmodel.steps import Step, Twin
from pgqmodel.styles import described
from pgqmodel.target import load
from pgqmodel.world import World
from quality.checking import check
from quality.recipes import Recipe, recipes
from world.stories import advance, begin, go, in_world, on

WITHIN_SECONDS = 60.0
RECIPES = recipes()
ADDED, TAKEN, LAPSED = begin("P", "enqueue"), begin("A", "claim"), advance(31.0)
STORIES: dict[str, Sequence[Step]] = {
    "status-column": [ADDED, TAKEN, LAPSED, begin("M", "reclaim"), begin("B", "claim"), begin("A", "complete")],
    "select-then-update": [ADDED, begin("A", "claim", 3), begin("B", "claim"), go("A")],
    "visibility-timeout": [ADDED, TAKEN, LAPSED, begin("B", "claim"), begin("A", "complete")],
    "batch": [
        *(ADDED, ADDED, TAKEN, begin("A", "complete"), LAPSED),
        *(begin("M", "reclaim"), begin("B", "claim"), begin("A", "complete")),
    ],
    "advisory-lock": [ADDED, TAKEN, begin("A", "complete", 3), begin("B", "claim")],
    "open-transaction": [ADDED, TAKEN, begin("B", "claim")],
    "outbox": [
        *(begin("P", "enqueue", 4, environment="prod"), begin("P2", "enqueue", environment="prod")),
        *(TAKEN, go("P"), begin("B", "claim")),
    ],
    "dead-letter": [ADDED, TAKEN, begin("A", "fail"), TAKEN, begin("A", "fail")],
    "scheduled": [ADDED, begin("M", "promote", 2), begin("M2", "promote"), TAKEN, go("M")],
    "rotating-token": [
        *(ADDED, TAKEN, LAPSED, begin("M", "reclaim")),
        *(on(Twin, "A"), begin("A2", "claim"), begin("A", "heartbeat")),
    ],
    "follow-up": [ADDED, TAKEN, begin("A", "complete")],
}
"""The shortest story of each mistake."""


def spoilt(recipe: Recipe, directory: Path) -> Path:
    """A file with the mistake of a recipe."""
    path = directory / "spoilt.toml"
    path.write_text(recipe.spoilt(), encoding="utf-8")
    return path


def test_every_style_has_a_recipe() -> None:
    """The files that the sections show are those that `init --style` writes, each once."""
    assert sorted(recipe.file.stem for recipe in RECIPES) == list(described())


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.file.stem)
def test_a_mistake_is_told(recipe: Recipe, server: Cluster, tmp_path: Path) -> None:
    """The shipped file with the mistake of its section comes to the report that stands there, word for word."""
    target, told = load(str(spoilt(recipe, tmp_path))), []
    assert target.promises == load(str(recipe.file)).promises

    async def story(world: World) -> None:
        await world.reset(clean=True)
        try:
            await Run(world=world).follow(Recorded(schedule=STORIES[recipe.file.stem]))
        except AnomalyFound as found:
            told.append(render(record(world, found.finding, source=target.source, seed=1)))

    in_world(server, target, story)
    assert told == [recipe.report]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.file.stem)
def test_a_mistake_is_found(recipe: Recipe, seed: int, whole: bool, tmp_path: Path) -> None:
    """What a section shows is among what `check` finds by itself within a minute."""
    if not whole:
        pytest.skip("not in the sample: `nox -s quality` looks for it")
    checked = check(spoilt(recipe, tmp_path), seed=seed, seconds=WITHIN_SECONDS, out=tmp_path / "found", first=False)

    assert checked.code == 1, checked.said
    assert recipe.anomaly in {finding["anomaly"] for finding in checked.found["findings"]}
