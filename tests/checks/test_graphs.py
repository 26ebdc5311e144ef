"""Checks by graph: cycles are found where they are, nowhere else, and are read out edge by edge."""

from __future__ import annotations

from pgqmodel.checks import contradiction, waiting_in_cycles
from pgqmodel.history import Job, Observed
from pgqmodel.operations import State


def seen(step: int, job: str, state: State, stage: int) -> Observed:
    """An observation of one job of the run r1."""
    return Observed(step=step, jobs={job: Job(job=job, state=state, run="r1", stage=stage)})


def test_two_that_wait_for_each_other_are_in_a_cycle() -> None:
    """Both are; one who only waits behind them is not."""
    assert waiting_in_cycles({"A": ["B"], "B": ["A"], "C": ["A"]}) == {"A", "B"}


def test_waiting_in_a_row_is_no_cycle() -> None:
    """A queue before one lock is no deadlock."""
    assert waiting_in_cycles({"A": ["B"], "B": ["C"]}) == set()
    assert waiting_in_cycles({}) == set()


def test_stages_in_order_are_no_contradiction() -> None:
    """A later stage that is claimed after the earlier one completed is as it should be."""
    history = [
        seen(1, "J1", State.PENDING, 1),
        seen(2, "J2", State.PENDING, 2),
        seen(3, "J1", State.RUNNING, 1),
        seen(4, "J1", State.COMPLETED, 1),
        seen(5, "J2", State.RUNNING, 2),
        seen(6, "J2", State.COMPLETED, 2),
    ]
    assert contradiction(history) is None


def test_a_skipped_stage_is_a_contradiction_with_reasons() -> None:
    """A later stage that is claimed first closes a cycle, and the report can read it out."""
    history = [
        seen(1, "J1", State.PENDING, 1),
        seen(2, "J2", State.PENDING, 2),
        seen(3, "J2", State.RUNNING, 2),
        seen(4, "J1", State.RUNNING, 1),
        seen(5, "J1", State.COMPLETED, 1),
    ]
    found = contradiction(history)
    assert found is not None
    assert "J1 must complete before J2 is claimed, because stage 2 needs stage 1." in found.explanation
    assert "J2 was claimed at step 3." in found.explanation


def test_a_stage_that_never_completed_counts() -> None:
    """A job that failed has not completed, so nothing behind it may be claimed."""
    history = [
        seen(1, "J1", State.PENDING, 1),
        seen(2, "J2", State.PENDING, 2),
        seen(3, "J1", State.FAILED, 1),
        seen(4, "J2", State.RUNNING, 2),
    ]
    found = contradiction(history)
    assert found is not None
    assert "J1 never completed." in found.explanation
