"""Promises that are judged quietly: what they come to, and that nobody else notices."""

from __future__ import annotations

import pytest

from pgqmodel.judge import Judge
from pgqmodel.promises import PROMISES, Broken
from pgqmodel.trace import Trace
from report.examples import DOUBLE_CLAIM, STALE_DEPLOY, STALE_SETTLEMENT

STORIES = [DOUBLE_CLAIM, STALE_SETTLEMENT, STALE_DEPLOY]
PLAIN = tuple(name for name, promise in PROMISES.items() if promise.value.plain and promise.checked)


def judged(trace: Trace, *declared: str, quiet: tuple[str, ...] = ()) -> tuple[Judge, list[Broken | None]]:
    """The judge of a story, and what it said of each event."""
    judge = Judge(promises=dict.fromkeys(declared, True), settings={"heartbeat_timeout_seconds": 30}, quiet=quiet)
    return judge, [judge.examine(event) for event in trace.history]


@pytest.mark.parametrize("trace", STORIES, ids=lambda trace: trace.anomaly)
def test_a_quiet_break_is_what_a_declared_one_would_be(trace: Trace) -> None:
    """The promise that a story breaks is no finding if it is judged quietly, and is broken by the same call."""
    _, said = judged(trace, trace.promise)
    loud = next(broken for broken in said if broken is not None)
    judge, said = judged(trace, quiet=(trace.promise,))
    assert set(said) == {None}
    assert judge.undeclared == {trace.promise: loud}


@pytest.mark.parametrize("trace", STORIES, ids=lambda trace: trace.anomaly)
def test_declared_promises_are_judged_as_if_nobody_else_were(trace: Trace) -> None:
    """With every other promise judged quietly, the declared ones are broken by the same event, and as often tried."""
    alone, said = judged(trace, trace.promise)
    quiet = tuple(name for name in PLAIN if name != trace.promise and not PROMISES[name].options(True))
    beside, too = judged(trace, trace.promise, quiet=quiet)
    assert said == too
    assert alone.exercised == beside.exercised
    assert beside.undeclared.keys() == set(quiet)
