"""What is wrong with a queue is found by the simulation that is about it, under its right name and in sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.judge import Outcome
from pgqmodel.reference import reference
from pgqmodel.report.evidence import evidence
from pgqmodel.simulation.result import Overall, Result
from pgqmodel.target import Target, load
from simulation.planting import DEFECTS, planted, with_schema, without_trigger
from simulation.small import run_small


def found(result: Result) -> dict[str, str | None]:
    """What is broken: each promise and the anomaly; the exit code must say so, and each must be explained."""
    broken = result.of(Outcome.BROKEN)
    assert (result.verdict, result.exit_code) == (Overall.BROKEN, 1)
    for judged in broken:
        assert judged.violations > 0
        assert len(evidence(judged)) >= 1
        assert all(sentence.endswith(".") for sentence in evidence(judged)), evidence(judged)
    return {judged.promise: judged.anomaly for judged in broken}


STATEMENTS = [
    ("claims whatever somebody else claims", "multi-worker-claim", "exclusive-claim", "double-claim"),
    ("claims without the gate of stages", "stage-ordering", "stage-order", "stage-skip"),
    ("knows a claim by the job's number alone", "heartbeat-reclaim-virtual", "fenced-settlement", "stale-settlement"),
    ("takes back what is alive", "heartbeat-reclaim-virtual", "lease", "early-reclaim"),
    ("gives a lock to whoever asks", "lock-contention", "one-deploy", "lock-overlap"),
]

CROWD = {
    "multi-worker-claim": {"workers": 8, "jobs": 100, "singles": 10},
    "lock-contention": {"deploys": 8},
}
"""So many who want the same at once that the wrong order comes about."""


@pytest.mark.parametrize(("defect", "simulation", "promise", "anomaly"), STATEMENTS, ids=[row[0] for row in STATEMENTS])
def test_a_wrong_statement_is_found(
    defect: str, simulation: str, promise: str, anomaly: str, major: int, tmp_path: Path
) -> None:
    """One statement of the reference queue is as somebody else might write it: its promise is broken, by name."""
    result = run_small(simulation, planted(defect), tmp_path, major, **CROWD.get(simulation, {}))
    assert found(result).get(promise) == anomaly


def test_a_missing_notification_is_found(major: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the trigger that tells of new jobs an idle worker finds one by its poll alone: the wake-up is lost."""
    monkeypatch.setattr("pgqmodel.sims.multi_worker_claim.POLL_SECONDS", 8.0)
    target = without_trigger("wake_on_enqueue", "job_queue")
    result = run_small("multi-worker-claim", target, tmp_path, major, workers=1, jobs=1, singles=2)
    assert found(result) == {"wake-up": "lost-wakeup"}
    (lost,) = result.of(Outcome.BROKEN)
    assert evidence(lost)[-1].endswith("its whole poll: no notification woke it.")


ANNOUNCEMENTS = {
    "cuts lines": ("to_json(l.line)::text", "to_json(left(l.line, 20))::text", "log-bounded", "mangled-log"),
    "passes lines over": (
        "FROM lines AS l ORDER",
        "FROM lines AS l WHERE l.sequence % 7 > 0 ORDER",
        "log-complete",
        "lost-log",
    ),
}


@pytest.mark.parametrize("defect", ANNOUNCEMENTS)
def test_a_wrong_announcement_is_found(defect: str, major: int, tmp_path: Path) -> None:
    """What subscribers were told of is not what was committed: a sentence names subscriber, line and job."""
    before, after, promise, anomaly = ANNOUNCEMENTS[defect]
    result = run_small("log-streaming", with_schema(before, after), tmp_path, major)
    assert found(result).get(promise) == anomaly


def test_the_baseline_skips_stages(major: int, tmp_path: Path) -> None:
    """The plan's system is found out: its violations are counted, one is shown by its jobs, and all else is judged."""
    result = run_small("stage-ordering", load("baseline"), tmp_path, major)
    assert found(result)["stage-order"] == "stage-skip"
    (skipped,) = (judged for judged in result.promises if judged.promise == "stage-order")
    assert skipped.violations > 1
    assert skipped.exercised >= skipped.violations
    assert any(sentence.startswith("Yet ") for sentence in evidence(skipped))
    assert result.to_json()["promises"]["stage-order"]["explanation"] == list(evidence(skipped))


def test_an_unplanted_reference_is_the_same_queue() -> None:
    """The defects are what differs, and nothing else."""
    right = reference()
    for defect in (row[0] for row in STATEMENTS):
        wrong: Target = planted(defect)
        assert wrong.setup == right.setup
        changed = [name for name in right.operations if wrong.operations[name] != right.operations[name]]
        assert changed == list(DEFECTS[defect])
