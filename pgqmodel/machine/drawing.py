"""What a machine draws from, simplest first, so that Hypothesis prefers the plain story."""

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
"""From here on lies the other half of what PICK draws, whatever it picks from two or three."""
DRAWN = st.tuples(PICK, PICK, PICK, PICK, PICK, PICK)
RACE = st.integers(0, 59)
"""Which of the races that there can be; as many numbers as give each of a dozen about the same share."""
SELDOM = st.sampled_from((False, False, False, True))
LATE = st.sampled_from((0, 1, 2, 3, 4, 5, 6))
STOP = st.sampled_from((0, 0, 0, 0, 2, 2, 1, 3, 4))
HALFWAY = st.sampled_from((2, 2, 3, 1, 4))
"""Where one of two stops that race: before the commit of one statement; of a transaction; or earlier."""
MOSTLY_WHOLE = st.sampled_from((0, 0, 0, 0, 0, 0, 2, 1))
FATE = st.sampled_from((Fate.BEFORE, Fate.AFTER))

FAULTS = fault_words()
"""What `--faults` names. `stall` is time that moves while somebody holds a job."""
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
"""One story in so many has a restart: it costs a hundred schedules' time."""


def pick(options: Sequence[T], choice: int) -> T:
    """One of some options; any number chooses."""
    return options[choice % len(options)]
