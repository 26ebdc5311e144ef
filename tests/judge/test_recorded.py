"""Recorded histories: a right one holds, with every promise tried; each planted violation is found by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.histories import PROMISES, history
from judge.planting import PLANTS, Plant, plant
from pgqmodel.checks.paths import examine
from pgqmodel.history import Event, parse, render
from pgqmodel.judge import Outcome
from pgqmodel.promises import ANOMALIES
from pgqmodel.report import told

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
    assert len(told(verdict.first.facts)) >= 2
    assert any("yet" in sentence.lower() for sentence in told(verdict.first.facts))
    assert verdict.exercised >= verdict.violations, "what broke was put to the test"


def test_the_notation_is_exact(right: list[Event]) -> None:
    """What is written is read back the same, whatever events it has."""
    some = right[:2_000]
    assert parse(render(some)) == some


@pytest.mark.parametrize(("slow_begins", "outcome"), [(2.0, Outcome.HELD), (6.0, Outcome.BROKEN)])
def test_who_began_before_a_job_was_changed_may_have_it_locked(slow_begins: float, outcome: Outcome) -> None:
    """A slow claim that took another job excuses whoever passed over one that it may have seen before it changed.

    That it leaves such a job locked is shown in tests/reference/test_locked.py.
    """
    story = [
        *_call("p", 1, 0.0, 0.5, "enqueue", better=("pending", 0, None), returned="better"),
        *_call("p", 2, 0.6, 0.9, "enqueue", worse=("pending", 0, None), returned="worse"),
        *_call("p", 3, 1.0, 1.5, "enqueue", other=("pending", 0, None), returned="other"),
        *_call("b", 4, 3.0, 3.5, "claim", better=("running", 1, "b"), returned="better"),
        *_call("b", 5, 4.0, 4.5, "retry", job="better", claim=4, better=("pending", 1, None)),
        *_call("a", 6, 7.0, 7.5, "claim", worse=("running", 1, "a"), returned="worse"),
        *_call("slow", 7, slow_begins, 8.0, "claim", other=("running", 1, "slow"), returned="other"),
    ]
    judged = {"event": "judged", "step": 0, "target": "a test", "settings": {}}
    judged["promises"] = {"claim-order": [["priority", "desc"]]}
    events = [judged, *sorted(story, key=lambda event: event["at"])]
    verdicts = examine(parse("\n".join(json.dumps(event | {"step": n}) for n, event in enumerate(events, 1))))
    assert verdicts.outcome is outcome
    assert [verdict.first.anomaly for verdict in verdicts.broken if verdict.first] == ["order-inversion"] * (
        outcome is Outcome.BROKEN
    )


def _call(
    client: str, call: int, begins: float, ends: float, operation: str, *, returned: str | None = None, **rest: Any
) -> list[dict[str, Any]]:
    """A call that is committed and answered at its end; a job's name stands for its new state, attempt and holder."""
    about = {name: rest.pop(name) for name in ("job", "claim") if name in rest}
    jobs = {
        name: {"job": name, "state": state, "attempt": attempt, "order": {"priority": _PRIORITIES[name]}}
        | ({"holder": holder} if holder else {})
        for name, (state, attempt, holder) in rest.items()
    }
    answer = {"job": returned} if returned else {}
    return [
        {"event": "invoked", "at": begins, "client": f"{client}.1", "worker": client, "call": call}
        | {"operation": operation}
        | about,
        {"event": "committed", "at": ends, "client": f"{client}.1", "call": call},
        {"event": "observed", "at": ends, "by": [call], "jobs": jobs},
        {"event": "returned", "at": ends, "client": f"{client}.1", "call": call, "status": "ok"} | answer,
    ]


_PRIORITIES = {"better": 3, "other": 2, "worse": 1}
