"""The cookbook is true: it shows every style, and each mistake that it warns of is found under the name that it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.styles import described
from pgqmodel.target import load
from quality.checking import check
from quality.recipes import Recipe, recipes

WITHIN_SECONDS = 60.0
RECIPES = recipes()


def test_every_style_has_a_recipe() -> None:
    """The files that the sections show are those that `init --style` writes, each once."""
    assert sorted(recipe.file.stem for recipe in RECIPES) == list(described())


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.file.stem)
def test_a_mistake_is_found(recipe: Recipe, seed: int, whole: bool, tmp_path: Path) -> None:
    """The mistake of a section still fits its file, and what the section shows is among what `check` finds."""
    spoilt = tmp_path / "spoilt.toml"
    spoilt.write_text(recipe.spoilt(), encoding="utf-8")
    assert load(str(spoilt)).promises == load(str(recipe.file)).promises
    if not whole:
        pytest.skip("the file reads; `nox -s quality` looks for the finding")
    checked = check(spoilt, seed=seed, seconds=WITHIN_SECONDS, out=tmp_path / "found", first=False)

    assert checked.code == 1, checked.said
    assert recipe.anomaly in {finding["anomaly"] for finding in checked.found["findings"]}
