"""What is wrong with a queue is found by the simulation that is about it, under its right name and in sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.queue import reference
from pgqmodel.simulation.result import Overall, Result, Verdict
from pgqmodel.target import Target, load
from simulation.planting import DEFECTS, planted, without_trigger
from simulation.small import run_small


def found(result: Result) -> dict[str, str | None]:
    """What is broken: each promise and the anomaly; the exit code must say so, and each must be explained."""
    broken = result.of(Verdict.BROKEN)
    assert (result.verdict, result.exit_code) == (Overall.BROKEN, 1)
    for judged in broken:
        assert judged.violations > 0
        assert len(judged.explanation) >= 1
        assert all(sentence.endswith(".") for sentence in judged.explanation), judged.explanation
    return {judged.promise: judged.anomaly for judged in broken}


STATEMENTS = [
    ("claims whatever somebody else claims", "multi-worker-claim", "exclusive-claim", "double-claim"),
    ("claims without the gate of stages", "stage-ordering", "stage-order", "stage-skip"),
    ("knows a claim by the job's number alone", "heartbeat-reclaim-virtual", "fenced-settlement", "stale-settlement"),
    ("takes back what is alive", "heartbeat-reclaim-virtual", "lease", "early-reclaim"),
    ("gives a lock to whoever asks", "lock-contention", "one-deploy", "lock-overlap"),
]


@pytest.mark.parametrize(("defect", "simulation", "promise", "anomaly"), STATEMENTS, ids=[row[0] for row in STATEMENTS])
def test_a_wrong_statement_is_found(
    defect: str, simulation: str, promise: str, anomaly: str, major: int, tmp_path: Path
) -> None:
    """One statement of the reference queue is as somebody else might write it: its promise is broken, by name."""
    result = run_small(simulation, planted(defect), tmp_path, major)
    assert found(result).get(promise) == anomaly


TRIGGERS = [
    ("wake_on_enqueue", "job_queue", "multi-worker-claim", "wake-up", {"lost-wakeup"}),
]


@pytest.mark.parametrize(("trigger", "table", "simulation", "promise", "anomalies"), TRIGGERS)
def test_a_missing_notification_is_found(
    trigger: str, table: str, simulation: str, promise: str, anomalies: set[str], major: int, tmp_path: Path
) -> None:
    """Without its trigger nobody is told: what only a poll explains is no wake-up."""
    result = run_small(simulation, without_trigger(trigger, table), tmp_path, major, jobs=1, singles=1)
    assert found(result).get(promise) in anomalies


def test_the_baseline_skips_stages(major: int, tmp_path: Path) -> None:
    """The plan's system is found out: its violations are counted, one is shown by its jobs, and all else is judged."""
    result = run_small("stage-ordering", load("baseline"), tmp_path, major)
    assert found(result)["stage-order"] == "stage-skip"
    (skipped,) = (judged for judged in result.promises if judged.promise == "stage-order")
    assert skipped.violations > 1
    assert skipped.witnessed >= skipped.violations
    assert any(sentence.startswith("Yet ") for sentence in skipped.explanation)
    assert result.to_json()["promises"]["stage-order"]["explanation"] == list(skipped.explanation)


def test_an_unplanted_reference_is_the_same_queue() -> None:
    """The defects are what differs, and nothing else."""
    right = reference()
    for defect in (row[0] for row in STATEMENTS):
        wrong: Target = planted(defect)
        assert wrong.setup == right.setup
        changed = [name for name in right.operations if wrong.operations[name] != right.operations[name]]
        assert changed == list(DEFECTS[defect])
