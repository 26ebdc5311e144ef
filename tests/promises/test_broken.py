"""The culprit of a finding, and what counts as the same cause."""

from __future__ import annotations

import pytest
from attrs import evolve

from pgqmodel.promises import Broken

STALE = Broken(
    promise="fenced-settlement",
    anomaly="stale-settlement",
    job="J1",
    step=5,
    facts=(),
    operations=("complete",),
    claim=2,
)
DEADLOCK = Broken(
    promise="deadlock-free", anomaly="deadlock", job=None, step=5, facts=(), operations=("cancel", "complete")
)


def test_names_do_not_matter() -> None:
    """Another job and another claim of the same kind are the same cause."""
    assert evolve(STALE, job="J2", claim=7, step=9).has_cause_of(STALE)


@pytest.mark.parametrize(
    "other",
    [
        evolve(STALE, operations=("retry",)),
        evolve(STALE, operations=()),
        evolve(STALE, job=None),
        evolve(STALE, claim=None),
        evolve(STALE, promise="final-states", anomaly="resurrection"),
    ],
)
def test_another_bug_of_the_same_name_is_another_cause(other: Broken) -> None:
    """The operation that broke the promise belongs to the cause, and whether it rested on a claim."""
    assert not other.has_cause_of(STALE)


def test_a_deadlock_may_lose_members_but_not_win_any() -> None:
    """A smaller cycle of the same operations is the same deadlock; one with another operation is not."""
    assert evolve(DEADLOCK, operations=("complete",)).has_cause_of(DEADLOCK)
    assert not evolve(DEADLOCK, operations=("claim", "complete")).has_cause_of(DEADLOCK)
