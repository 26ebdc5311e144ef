"""Waits-for graphs: cycles are found where they are, and nowhere else."""

from __future__ import annotations

from pgqmodel.checks import waiting_in_cycles


def test_two_that_wait_for_each_other_are_in_a_cycle() -> None:
    """Both are; one who only waits behind them is not."""
    assert waiting_in_cycles({"A": ["B"], "B": ["A"], "C": ["A"]}) == {"A", "B"}


def test_waiting_in_a_row_is_no_cycle() -> None:
    """A queue before one lock is no deadlock."""
    assert waiting_in_cycles({"A": ["B"], "B": ["C"]}) == set()
    assert waiting_in_cycles({}) == set()
