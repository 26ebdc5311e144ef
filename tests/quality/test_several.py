"""All that is broken: a check goes on after its first finding, and reports each bug once."""

from __future__ import annotations

from pathlib import Path

import pytest

from quality.checking import check
from quality.manifest import FOLDER

SEVERAL = Path(__file__).parent / "several"
WITHIN_SECONDS = 60.0
SAMPLE_SECONDS = 25.0
SINGLE = ("duplicate-key--check-then-insert", "resurrection--cancel-completed", "early-reclaim--two-reapers")
THEIRS = [
    ("order-inversion", "claim", 1),
    ("resurrection", "cancel", 3),
    ("stale-settlement", "complete", 5),
]


def test_three_bugs_are_found_in_one_run(seed: int, tmp_path: Path) -> None:
    """Three bugs that have nothing to do with each other are all reported within a minute, the simplest first."""
    checked = check(SEVERAL / "three.toml", seed=seed, seconds=WITHIN_SECONDS, out=tmp_path / "found", first=False)

    assert checked.code == 1, checked.said
    found = checked.found["findings"]
    assert [(each["anomaly"], each["operation"], each["shrunk_steps"]) for each in found] == THEIRS
    assert [each["replayed"] for each in found] == ["2 of 2"] * 3
    assert len({each["trace"] for each in found}) == 3
    assert checked.found["trace"] == found[0]["trace"]


def test_a_common_bug_does_not_hide_the_others(seed: int, whole: bool, tmp_path: Path) -> None:
    """An operation that breaks nearly every story is left out of some, in which the other bugs are found."""
    if not whole:
        pytest.skip("not in the sample: `nox -s quality` looks for it")
    checked = check(SEVERAL / "common.toml", seed=seed, seconds=WITHIN_SECONDS, out=tmp_path / "found", first=False)

    found = [(each["anomaly"], each["operation"]) for each in checked.found["findings"]]
    assert sorted(found) == [("resurrection", "cancel"), ("stale-settlement", "fail"), ("stuck-job", None)]


@pytest.mark.parametrize("name", SINGLE)
def test_one_bug_is_reported_once(name: str, seed: int, whole: bool, tmp_path: Path) -> None:
    """However often a bug shows itself, it is one finding."""
    if not whole and name != SINGLE[0]:
        pytest.skip("not in the sample: `nox -s quality` looks for it")
    seconds = WITHIN_SECONDS if whole else SAMPLE_SECONDS
    checked = check(FOLDER / f"{name}.toml", seed=seed, seconds=seconds, out=tmp_path / "found", first=False)

    assert [each["anomaly"] for each in checked.found["findings"]] == [name.partition("--")[0]]
    assert list(tmp_path.iterdir()) == [tmp_path / "found"]
