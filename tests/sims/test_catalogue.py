"""Every simulation of the catalogue, small: its promises hold on the reference queue, and its history says so too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.commands import run
from pgqmodel.history import Draining, Judged, parse, render
from pgqmodel.judge import Outcome
from pgqmodel.reference import reference
from pgqmodel.report.evidence import evidence
from pgqmodel.simulation.installed import simulations
from pgqmodel.simulation.result import Overall, Result
from pgqmodel.simulation.running import HISTORY
from simulation.small import SMALL, run_small

BESIDE = {"wake-up", "log-bounded", "log-complete", "run-status"}
"""Promises that a load itself puts to the test, which its history cannot show whole."""


def test_the_whole_catalogue_is_tried() -> None:
    """A simulation that is added to the catalogue gets small sizes here."""
    assert SMALL.keys() == simulations().keys()
    for name, small in SMALL.items():
        assert small.sizes.keys() == simulations()[name].sizes.keys()
        assert small.timed <= {threshold.name for threshold in simulations()[name].thresholds}


@pytest.mark.parametrize("name", SMALL)
def test_a_simulation_holds_on_the_reference(name: str, major: int, tmp_path: Path) -> None:
    """Each promise is held or not exercised, all checks pass; the history on disk is whole and judged the same."""
    result = run_small(name, reference(), tmp_path, major)
    assert {judged.promise: evidence(judged) for judged in result.promises if judged.violations} == {}
    assert not result.of(Outcome.UNKNOWN)
    assert set(SMALL[name].held) <= {judged.promise for judged in result.of(Outcome.HELD)}
    assert [check for check in result.checks if not check.ok] == []
    missed = {outcome.threshold.name: outcome.figure for outcome in result.outcomes if outcome.missed}
    assert missed.keys() <= SMALL[name].timed, missed
    assert (result.verdict, result.exit_code) == ((Overall.MISSED, 1) if missed else (Overall.HELD, 0))
    assert [key for key in SMALL[name].counters if not result.measures.value(key)] == []
    assert json.loads(json.dumps(result.to_json()))["sizes"] == dict(SMALL[name].sizes)
    check_history(result, tmp_path)


def check_history(result: Result, folder: Path) -> None:
    """The history is in the notation as it is written, and `pgqmodel verify` comes to the same verdicts by itself."""
    text = (folder / HISTORY).read_text(encoding="utf-8")
    events = parse(text)
    assert render(events) == text
    assert isinstance(events[0], Judged)
    assert isinstance(events[-1], Draining)
    ended = run("verify", HISTORY, "--json", cwd=folder)
    assert ended.code == (0 if result.of(Outcome.HELD) else 3), ended
    verified = ended.record["promises"]
    for judged in result.promises:
        if judged.promise not in BESIDE:
            found = verified.get(judged.promise, {"verdict": "not exercised", "witnessed": 0})
            assert (found["verdict"], found["witnessed"]) == (judged.outcome.value, judged.exercised), judged.promise
