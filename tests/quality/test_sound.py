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
UNSAMPLED = frozenset(
    {
        "advisory-lock",
        "batch",
        "dead-letter",
        "enums",
        "follow-up",
        "functions",
        "history-by-trigger",
        "partitions",
        "raising-settlement",
        "rotating-fence",
        "rotating-token",
        "row-level-security",
        "scheduled",
        "schema-qualified",
        "uuid-keys",
    }
)
"""What `nox -s quality` alone looks at: the rest of the tests has no time for it."""


@pytest.mark.parametrize("queue", [*SOUND, *STYLES], ids=lambda queue: f"{queue.parent.name}-{queue.stem}")
def test_sound_queue_holds(queue: Path, seconds: float, steps: int, whole: bool, major: int, tmp_path: Path) -> None:
    """A queue that keeps its promises is not accused of breaking one, and each promise was put to the test."""
    if queue.stem in UNSAMPLED and not (whole or steps):
        pytest.skip("not in the sample: `nox -s quality` looks at it")
    taken = seed = 0
    while seed == 0 or taken < steps:
        seed += 1
        out = tmp_path / f"seed {seed}"
        checked = check(queue, seed=seed, seconds=seconds, out=out, postgres=major)

        assert checked.code == 0, checked.said if not checked.found else (out / "report.md").read_text()
        assert checked.found["verdict"] == "held"
        assert seconds < WHOLE_SECONDS or checked.found["not_exercised"] == []
        taken += checked.found["steps"]


def test_every_name_is_a_queue() -> None:
    """What is left out of the sample is there."""
    assert {queue.stem for queue in (*SOUND, *STYLES)} >= UNSAMPLED
