"""The finding power: every seeded bug is found, under its right name, and told as the shortest story there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.promises import ANOMALIES, PROMISES
from quality.checking import check
from quality.manifest import BUGS, FOLDER, SAMPLE, TWICE, Bug

WITHIN_SECONDS = 60.0


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_seeded_bug_is_found(bug: Bug, seed: int, whole: bool, tmp_path: Path) -> None:
    """A known bug is found within a minute from any seed, is called by its name, and shrinks to its known size."""
    if not whole and bug.name not in SAMPLE:
        pytest.skip("not in the sample: `nox -s quality` looks for it")
    checked = check(bug.path, seed=seed, seconds=WITHIN_SECONDS, out=tmp_path)

    assert checked.code == 1, checked.said
    assert checked.found["anomaly"] == bug.anomaly, checked.found
    assert checked.found["promise"] == ANOMALIES[bug.anomaly]
    assert checked.found["witnessed"].get(ANOMALIES[bug.anomaly], 0) >= 1, "what broke was put to the test"
    assert checked.found["shrunk_steps"] == bug.shrunk_steps, (tmp_path / "report.md").read_text()


def test_every_file_is_listed() -> None:
    """No seeded bug lies about untested."""
    assert sorted(bug.path for bug in BUGS) == sorted(FOLDER.glob("*.toml"))


def test_every_anomaly_is_seeded() -> None:
    """Each anomaly that a check can reach has a bug that shows it, and the most common ones have two kinds."""
    seeded = [bug.anomaly for bug in BUGS]

    assert {anomaly for anomaly, promise in ANOMALIES.items() if PROMISES[promise].checked} == set(seeded)
    assert all(seeded.count(anomaly) >= 2 for anomaly in TWICE)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bug_explains_itself(bug: Bug) -> None:
    """Each file begins with the class of its bug, the root cause, and the shortest story."""
    comment = [line for line in bug.path.read_text().splitlines() if line.startswith("#")]
    text = " ".join(line.removeprefix("# ") for line in comment)

    assert text.startswith("Class: ")
    assert " Root cause: " in text
    assert " Story: " in text
