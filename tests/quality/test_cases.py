"""Queues as their owners write them, each on one point that was once judged wrongly, with what is right for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from attrs import frozen

from quality.checking import check

FOLDER = Path(__file__).parent / "cases"
WITHIN_SECONDS = 60.0


@frozen
class Right:
    """What is right: the anomalies that may be found (none: the queue holds), or what an error must say."""

    found: str = ""
    steps: tuple[int, ...] = ()
    """The sizes of the shortest known stories: one, or one for each culprit that may be found first."""
    says: str = ""
    sampled: bool = False


CASES = {
    "at-most-once": Right(),
    "at-most-once-reclaimed": Right(found="double-claim"),
    "batch-claim": Right(sampled=True),
    "begin-and-commit-listed": Right(),
    "born-done": Right(found="phantom-job|lost-job|final-states|resurrection", steps=(0,)),
    "check-then-insert": Right(found="duplicate-key", steps=(1,)),
    "claim-without-returning": Right(sampled=True),
    "client-clock": Right(),
    "client-clock-skewed": Right(found="early-reclaim"),
    "complete-enqueues": Right(found="duplicate-key", steps=(1, 3)),
    "delete-on-claim": Right(),
    "delete-on-claim-at-least-once": Right(found="lost-job"),
    "eligible-far-away": Right(),
    "eligible-infinity": Right(),
    "fence-token": Right(found="resurrection", steps=(3,)),
    "heartbeat-rotates-fence": Right(found="stuck-job", steps=(2,), sampled=True),
    "jittered-backoff": Right(found="resurrection", steps=(8,)),
    "late-complete": Right(),
    "naive-timestamps": Right(),
    "open-transaction": Right(says="holds_transaction", sampled=True),
    "own-schema-names": Right(),
    "requeue-at-one-instant": Right(),
    "session-lease": Right(sampled=True),
    "settlement-raises": Right(sampled=True),
    "two-reapers": Right(found="early-reclaim", steps=(6,)),
    "unlock-inside": Right(found="stale-settlement|early-reclaim|double-claim", steps=(3,), sampled=True),
    "uuid-job": Right(found="double-claim", steps=(3,), sampled=True),
    "visibility-timeout": Right(sampled=True),
    "visibility-timeout-nack": Right(),
    "visibility-token": Right(sampled=True),
}


@pytest.mark.parametrize("name", CASES)
def test_case_is_judged_rightly(name: str, seed: int, seconds: float, whole: bool, tmp_path: Path) -> None:
    """A queue that is right holds, a broken one is found under a right name, a file that is refused says why."""
    right = CASES[name]
    if not whole and not right.sampled:
        pytest.skip("not in the sample: `nox -s quality` looks at it")
    patience = WITHIN_SECONDS if right.found else seconds
    checked = check(FOLDER / f"{name}.toml", seed=seed, seconds=patience, out=tmp_path)

    assert checked.code == (2 if right.says else 1 if right.found else 0), checked.said or checked.found
    if right.says:
        assert right.says in checked.said
    elif right.found:
        assert re.fullmatch(right.found, checked.found["anomaly"]), checked.found
        assert not right.steps or checked.found["shrunk_steps"] in right.steps, (tmp_path / "report.md").read_text()


def test_every_case_is_listed() -> None:
    """No case lies about untested."""
    assert sorted(CASES) == sorted(path.stem for path in FOLDER.glob("*.toml"))
