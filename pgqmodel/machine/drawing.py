"""The strategies that a machine draws from, simplest value first, so that Hypothesis prefers the plain story."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

from pgqmodel.operations import COMPLETE, DEPLOY, FAIL, HEARTBEAT, LOG, RETRY
from pgqmodel.steps import Fate, fault_words

__all__ = [
    "COMING_BACK",
    "DRAWN",
    "FATE",
    "FAULTS",
    "HALF",
    "HALFWAY",
    "LATE",
    "MOSTLY_WHOLE",
    "PICK",
    "RACE",
    "RESTART_ODDS",
    "SELDOM",
    "STOP",
    "pick",
]

T = TypeVar("T")
PICK = st.integers(0, 11)
HALF = 6
"""The numbers of PICK from here on are its upper half, whether it picks from two options or from three."""
DRAWN = st.tuples(PICK, PICK, PICK, PICK, PICK, PICK)
RACE = st.integers(0, 59)
"""Picks one of the possible races. So many numbers give each of a dozen races about the same share."""
SELDOM = st.sampled_from((False, False, False, True))
LATE = st.sampled_from((0, 1, 2, 3, 4, 5, 6))
STOP = st.sampled_from((0, 0, 0, 0, 2, 2, 1, 3, 4))
HALFWAY = st.sampled_from((2, 2, 3, 1, 4))
"""The gate where the first client of a race stops: at the commit of a single statement, at that of a transaction,
or earlier."""
MOSTLY_WHOLE = st.sampled_from((0, 0, 0, 0, 0, 0, 2, 1))
FATE = st.sampled_from((Fate.BEFORE, Fate.AFTER))

FAULTS = fault_words()
"""The words of `--faults`. `stall` is time that passes while a worker holds a job."""
COMING_BACK = (
    HEARTBEAT.name,
    DEPLOY.name,
    COMPLETE.name,
    DEPLOY.name,
    HEARTBEAT.name,
    FAIL.name,
    HEARTBEAT.name,
    RETRY.name,
    LOG.name,
)
RESTART_ODDS = 60
"""One story in so many has a restart, because a restart takes as long as a hundred schedules."""


def pick(options: Sequence[T], choice: int) -> T:
    """One of the options; every number is a valid choice."""
    return options[choice % len(options)]
