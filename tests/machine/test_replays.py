"""What was found is kept: the shortest story of a finding comes back every time, and a mended target is told so."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from pgqmodel.history import render
from pgqmodel.machine.fleet import Fleet, WorldSpec
from pgqmodel.machine.replay import Verdict
from pgqmodel.schedule import choices
from pgqmodel.steps import Action, Fate, Step
from pgqmodel.trace import Trace, loads

pytestmark = pytest.mark.both_majors

BUGS = Path(__file__).parent.parent / "quality" / "bugs"
TIMES = 20
EXAMPLES_MAX = 4000
KINDS: dict[str, tuple[str, Collection[str], Callable[[Step], bool]]] = {
    "crash": ("stuck-job--no-first-heartbeat", ("crash",), lambda step: step.action is Action.CRASH),
    "lost answer": (
        "stale-settlement--fence-of-a-second",
        ("cut", "crash"),
        lambda step: step.fate is Fate.AFTER,
    ),
    "deadlock": ("deadlock--crosswise", (), lambda step: step.action is Action.DEADLOCK),
    "clock": ("zombie-heartbeat--by-id", ("stall",), lambda step: step.action is Action.ADVANCE),
}


def found(fleet: Fleet, seed: int) -> Trace:
    """The shrunk story of the first thing that is found."""
    finding = fleet.explore(seed=seed, examples=EXAMPLES_MAX, seconds=None).finding
    assert finding is not None
    return fleet.shrink(finding, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_finding_comes_back_every_time(kind: str, major: int) -> None:
    """However often a shrunk story is replayed, it ends in the same anomaly by the same history, byte by byte."""
    bug, faults, characteristic = KINDS[kind]
    spec = WorldSpec(target=str(BUGS / f"{bug}.toml"), postgres=str(major), faults=frozenset(faults))
    with Fleet(spec=spec, processes=2) as fleet:
        trace = found(fleet, seed=1)
        replays = [fleet.replay(trace) for _ in range(TIMES)]
    assert (trace.anomaly, trace.shrunk_steps) == (bug.partition("--")[0], choices(trace.steps))
    assert any(characteristic(step) for step in trace.steps), trace.steps
    assert [replayed.verdict for replayed in replays] == [Verdict.REPRODUCED] * TIMES
    assert {replayed.step for replayed in replays} == {None}


def test_a_stored_trace_is_the_same_trace(major: int) -> None:
    """What a trace is written as is read back as the same steps and the same history."""
    spec = WorldSpec(
        target=str(BUGS / "zombie-heartbeat--by-id.toml"), postgres=str(major), faults=frozenset({"stall"})
    )
    with Fleet(spec=spec, processes=1) as fleet:
        trace = found(fleet, seed=1)
    again = loads(trace.dumps(), "trace.json")
    assert again == trace
    assert render(again.history) == render(trace.history)
