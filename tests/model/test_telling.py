"""Sentences tell time as the story does: in seconds since its beginning, never as seconds since 1970."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pgqmodel.history import Job
from pgqmodel.model.state import ModelState
from pgqmodel.model.telling import listed, tell_job
from pgqmodel.operations import State

BEGAN = 1_893_456_000.0


def told(value: Any, began: float | None = BEGAN) -> str:
    """What is said of a job that is sorted by a column with this value."""
    state = ModelState()
    if began is not None:
        state.pass_time(began)
        state.pass_time(began + 100)
    return tell_job(state, Job(job="J1", state=State.PENDING, order={"run_at": value}))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (BEGAN, "run_at 0 s"),
        (BEGAN + 31.25, "run_at 31.25 s"),
        (BEGAN - 3600.0, "run_at -3600 s"),
        (math.inf, "run_at inf"),
        (7, "run_at 7"),
        (0.25, "run_at 0.25"),
        (1_893_456_000, "run_at 1893456000"),
        ("b", "run_at b"),
        (None, "run_at None"),
    ],
    ids=["the beginning", "later", "before", "infinity", "a number", "a fraction", "a whole number", "a text", "NULL"],
)
def test_a_moment_is_told_from_the_beginning_and_nothing_else_is(value: Any, shown: str) -> None:
    """Only a number with a fraction, near the history's own time, is a moment; time goes by, the beginning stays."""
    assert told(value) == f"J1 (pending, {shown})"


def test_without_a_clock_a_value_stays_as_it_is() -> None:
    """A history that tells no time gives no beginning to count from."""
    assert told(BEGAN, began=None) == f"J1 (pending, run_at {BEGAN})"


def test_several_jobs_are_told_alike() -> None:
    """A list says of each job what one sentence would, and how many are left out."""
    state = ModelState()
    state.pass_time(BEGAN)
    jobs = [Job(job=f"J{number}", state=State.PENDING, order={"at": BEGAN + number}) for number in range(1, 4)]
    assert listed(state, jobs, most=2) == "J1 (pending, at 1 s), J2 (pending, at 2 s) and 1 more"
