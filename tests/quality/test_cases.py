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
    says: str = ""
    sampled: bool = False


CASES = {
    "at-most-once": Right(),
    "at-most-once-reclaimed": Right(found="double-claim"),
    "batch-claim": Right(sampled=True),
    "begin-and-commit-listed": Right(),
    "born-done": Right(found="phantom-job|lost-job|final-states|resurrection"),
    "check-then-insert": Right(found="duplicate-key"),
    "claim-without-returning": Right(sampled=True),
    "client-clock": Right(),
    "client-clock-skewed": Right(found="early-reclaim"),
    "complete-enqueues": Right(found="duplicate-key"),
    "delete-on-claim": Right(),
    "delete-on-claim-at-least-once": Right(found="lost-job"),
    "eligible-far-away": Right(),
    "eligible-infinity": Right(),
    "fence-token": Right(found="resurrection"),
    "heartbeat-rotates-fence": Right(found="stuck-job", sampled=True),
    "jittered-backoff": Right(found="resurrection"),
    "late-complete": Right(),
    "naive-timestamps": Right(),
    "open-transaction": Right(says="holds_transaction", sampled=True),
    "own-schema-names": Right(),
    "requeue-at-one-instant": Right(),
    "session-lease": Right(sampled=True),
    "settlement-raises": Right(sampled=True),
    "two-reapers": Right(found="early-reclaim"),
    "unlock-inside": Right(found="stale-settlement|early-reclaim|double-claim", sampled=True),
    "uuid-job": Right(found="double-claim", sampled=True),
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


def test_every_case_is_listed() -> None:
    """No case lies about untested."""
    assert sorted(CASES) == sorted(path.stem for path in FOLDER.glob("*.toml"))
