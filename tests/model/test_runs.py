"""The status of a run: what follows from its jobs, and what a target's own words make of it."""

from __future__ import annotations

import pytest

from pgqmodel.model.runs import AS_THE_JOBS, shows, status
from pgqmodel.operations import State

WAITING, PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = State
STATUSES = {
    "all wait": ({WAITING}, PENDING),
    "some wait, some may be claimed": ({WAITING, PENDING}, PENDING),
    "some wait, some are over": ({WAITING, COMPLETED}, RUNNING),
    "all completed": ({COMPLETED}, COMPLETED),
    "one failed": ({COMPLETED, FAILED, CANCELLED}, FAILED),
}


@pytest.mark.parametrize(("states", "expected"), STATUSES.values(), ids=STATUSES)
def test_a_job_that_waits_has_not_begun(states: set[State], expected: State) -> None:
    """A run whose jobs wait to be promoted is as one whose jobs wait to be claimed."""
    assert status(states) is expected


def test_a_run_without_words_of_its_own_shows_its_status() -> None:
    """Only a run that has not begun may be shown in two ways."""
    assert {PENDING: {PENDING, WAITING}} == AS_THE_JOBS


def test_one_word_may_stand_for_several_states() -> None:
    """A run that is open is pending or running, and one that is closed is over, whatever came of it."""
    rule = shows([(PENDING, RUNNING), (COMPLETED, FAILED, CANCELLED)])

    assert rule[PENDING] == rule[RUNNING] == {PENDING}
    assert rule[COMPLETED] == rule[FAILED] == rule[CANCELLED] == {COMPLETED}


def test_a_status_without_a_word_is_shown_as_the_nearest() -> None:
    """Without a word for pending a run is in progress from the start; without cancelled, failed or completed."""
    rule = shows([(RUNNING,), (COMPLETED,), (FAILED,)])

    assert rule[PENDING] == {RUNNING}
    assert rule[RUNNING] == {RUNNING}
    assert rule[CANCELLED] == {FAILED, COMPLETED}
