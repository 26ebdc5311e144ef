"""Every simulation at the scales that people use: the promises hold, and the smallest shows something."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgqmodel.judge import Outcome
from pgqmodel.reference import reference
from pgqmodel.simulation.installed import simulations
from pgqmodel.simulation.page import render_page
from pgqmodel.simulation.running import HISTORY, RunOptions, run_simulation
from simulation.small import SMALL

SMALLEST = {"heartbeat-reclaim-virtual": (0.01, 0.02, 0.05), "log-streaming": (0.01,), "lock-contention": (0.02,)}
"""What is tried each time; the rest is the nightly session's."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The scales of `--scales`, or the few that are tried each time."""
    asked = [float(each) for each in metafunc.config.getoption("--scales").split(",") if each]
    if {"name", "scale"} <= set(metafunc.fixturenames):
        rows = [(name, scale) for name in simulations() for scale in asked or SMALLEST.get(name, ())]
        metafunc.parametrize(("name", "scale"), rows, ids=[f"{name}-{scale:g}" for name, scale in rows])


def test_a_simulation_holds_at_a_scale(name: str, scale: float, major: int, tmp_path: Path) -> None:
    """No promise breaks, no check fails, only what depends on the machine is missed; and there is a page."""
    options = RunOptions(history=tmp_path / HISTORY, scale=scale, postgres=str(major), seed=1)
    result = run_simulation(simulations()[name], reference(), options)
    assert not [*result.of(Outcome.BROKEN), *result.of(Outcome.UNKNOWN)], result.reasons
    assert [check for check in result.checks if not check.ok] == []
    missed = {outcome.threshold.name for outcome in result.outcomes if outcome.missed}
    assert missed <= SMALL[name].timed, result.reasons
    assert result.name in render_page(result)
