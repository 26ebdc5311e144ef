"""Recorded histories: a right one holds, with every promise tried; each planted violation is found by its name."""

from __future__ import annotations

import pytest

from bench.histories import PROMISES, history
from model.planting import PLANTS, Plant, plant
from pgqmodel.checks.paths import examine
from pgqmodel.history import Event, parse, render
from pgqmodel.model import Outcome
from pgqmodel.promises import ANOMALIES

EVENTS = 20_000


@pytest.fixture(scope="module")
def right() -> list[Event]:
    """A right history, long enough for every situation to occur in it."""
    return list(history(EVENTS))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_right_history_holds(seed: int) -> None:
    """Real overlap, deaths, stalls and lost answers accuse nobody, and nearly every promise was put to the test."""
    verdicts = examine(history(EVENTS, seed=seed))
    assert verdicts.outcome is Outcome.HELD, [verdict.first for verdict in verdicts.broken]
    assert set(verdicts.promises) == set(PROMISES)
    if seed == 1:
        assert verdicts.not_exercised == []


@pytest.mark.parametrize("violation", PLANTS, ids=lambda violation: f"{violation.anomaly} {violation.make.__name__}")
def test_a_planted_violation_is_found(right: list[Event], violation: Plant) -> None:
    """It is found under its own name, with sentences, and nothing is accused but it and what follows from it."""
    verdicts = examine(plant(right, violation))
    found = {verdict.first.anomaly for verdict in verdicts.broken if verdict.first is not None}
    assert violation.anomaly in found
    assert found <= {violation.anomaly, *violation.follows}
    verdict = verdicts.promises[ANOMALIES[violation.anomaly]]
    assert verdict.first is not None
    assert len(verdict.first.explanation) >= 2
    assert any("yet" in sentence.lower() for sentence in verdict.first.explanation)


def test_the_notation_is_exact(right: list[Event]) -> None:
    """What is written is read back the same, whatever events it has."""
    some = right[:2_000]
    assert parse(render(some)) == some
