"""The files of the styles: what every one of them has, so that it can be copied and listed."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from pgqmodel.styles import described
from pgqmodel.target import load

FOLDER = Path(str(files("pgqmodel.styles")))
ASKED_FOR = {
    "status-column",
    "select-then-update",
    "visibility-timeout",
    "batch",
    "advisory-lock",
    "open-transaction",
    "outbox",
}
COMMON = {"exclusive-claim", "no-lost-job", "no-phantom-job", "final-states", "recovery"}


def test_the_common_styles_are_there() -> None:
    """Every file is listed under its name, those of the common styles among them."""
    assert list(described()) == sorted(path.stem for path in FOLDER.glob("*.toml"))
    assert set(described()) >= ASKED_FOR


@pytest.mark.parametrize("style", described())
def test_a_style_is_one_file(style: str) -> None:
    """It reads without another file, bears the name of its style, and says what every queue promises."""
    target = load(str(FOLDER / f"{style}.toml"))
    assert target.name == style
    assert [script.label for script in target.setup] == [f"{target.source}: setup_sql"]
    assert set(target.promises) >= COMMON


@pytest.mark.parametrize(("style", "says"), described().items())
def test_a_style_is_said_in_a_line(style: str, says: str) -> None:
    """The line fits beside the longest name in a terminal of 80 columns."""
    assert 0 < len(says) <= 55
