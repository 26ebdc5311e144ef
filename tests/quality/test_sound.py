"""No false alarm: queues that are right hold however long they are explored, those that `init --style` writes too."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from quality.checking import check

WHOLE_SECONDS = 60
"""An exploration of this length puts every promise to the test; a shorter one may not come to each."""
SOUND = sorted((Path(__file__).parent / "sound").glob("*.toml"))
STYLES = sorted(Path(str(files("pgqmodel.styles"))).glob("*.toml"))


@pytest.mark.parametrize("queue", [*SOUND, *STYLES], ids=lambda queue: f"{queue.parent.name}-{queue.stem}")
def test_sound_queue_holds(queue: Path, seconds: float, tmp_path: Path) -> None:
    """A queue that keeps its promises is not accused of breaking one, and each promise was put to the test."""
    checked = check(queue, seed=1, seconds=seconds, out=tmp_path)

    assert checked.code == 0, checked.said if not checked.found else (tmp_path / "report.md").read_text()
    assert checked.found["verdict"] == "held"
    assert seconds < WHOLE_SECONDS or checked.found["not_exercised"] == []
