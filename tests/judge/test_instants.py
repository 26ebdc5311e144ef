"""What is simultaneous is unordered: equal stamps accuse nobody of a right history, and hide no wrong one."""

from __future__ import annotations

import json
import random

import pytest

from bench.histories import history
from checks.instants import collapsed, shuffled
from judge.planting import PLANTS, Plant, plant
from pgqmodel.checks.consistent import consistent
from pgqmodel.checks.paths import examine
from pgqmodel.history import Event, Observed, parse
from pgqmodel.judge import Outcome

EVENTS = 5_000
EVENTS_PLANTED = 8_000
WIDTHS_SECONDS = (2**-7, 2**-3, 1.0, 5.0, 30.0)
"""Each divides the timeout, so that a lease that had lapsed still has."""
ORDERED = frozenset({"stage-skip", "lock-overlap", "order-inversion", "false-empty"})
"""What an order within the instant may excuse: who saw what, and which grant or enqueue was the first."""

PASSED_OVER = "order-inversion"
"""The claim that is planted takes its job while better ones wait, from before the instant until after it."""


@pytest.fixture(scope="module")
def right() -> list[Event]:
    """A right history in which violations are planted."""
    return list(history(EVENTS_PLANTED))


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("width_seconds", WIDTHS_SECONDS)
def test_equal_stamps_accuse_nobody(seed: int, width_seconds: float) -> None:
    """A right history holds when many events share an instant, in whatever order the lines of each instant stand."""
    events = list(collapsed(history(EVENTS, seed=seed), width_seconds))
    assert any(isinstance(event, Observed) and not event.by for event in events), "some commits are nobody's"
    for lines in (events, shuffled(events, random.Random(seed))):
        verdicts = examine(consistent(enumerate(lines, 1)))
        assert verdicts.events == len(events)
        assert verdicts.outcome is Outcome.HELD, [verdict.first for verdict in verdicts.broken]


@pytest.mark.parametrize("violation", PLANTS, ids=lambda violation: f"{violation.anomaly} {violation.make.__name__}")
def test_a_violation_within_an_instant_is_found(right: list[Event], violation: Plant) -> None:
    """What no order within the instant excuses is found under its name; what one may excuse accuses nobody wrongly."""
    events = shuffled(collapsed(plant(right, violation), 1.0), random.Random(1))
    found = {verdict.first.anomaly for verdict in examine(events).broken if verdict.first is not None}
    assert violation.anomaly in found or violation.anomaly in ORDERED
    assert found <= {violation.anomaly, *violation.follows, PASSED_OVER}


PROMISES = ("exclusive-claim", "fenced-settlement", "no-lost-job", "no-phantom-job", "claim-complete")


def _nobodys(*lines: str) -> list[str]:
    """The anomalies in a history in which a claimer dies at once, and its commit is nobody's; all at one instant."""
    before = [
        f'"event": "judged", "target": "t", "promises": {json.dumps(dict.fromkeys(PROMISES, True))}',
        '"event": "observed", "jobs": {"J1": {"job": "J1", "state": "pending", "attempt": 0}}',
    ]
    numbered = (f'{{"step": {step}, "at": 1000.0, {line}}}' for step, line in enumerate([*before, *lines], 1))
    found = examine(consistent(enumerate(parse("\n".join(numbered)), 1))).broken
    return [verdict.first.anomaly for verdict in found if verdict.first is not None]


_CLAIM = ['"event": "invoked", "client": "a", "worker": "a", "call": 1, "operation": "claim"']
_DEATH = ['"event": "ended", "client": "a", "crashed": true']
_SHOWN = [
    '"event": "observed", "jobs": {"J1": '
    + json.dumps({"job": "J1", "state": "running", "attempt": 1, "holder": "a"})
    + "}"
]
_FOUND_NOTHING = [
    '"event": "invoked", "client": "b", "worker": "b", "call": 2, "operation": "claim"',
    '"event": "returned", "client": "b", "call": 2, "status": "empty"',
]


@pytest.mark.parametrize(
    "lines",
    [
        [*_CLAIM, *_DEATH, *_SHOWN, *_FOUND_NOTHING],
        [*_CLAIM, *_SHOWN, *_DEATH, *_FOUND_NOTHING],
        [*_FOUND_NOTHING, *_CLAIM, *_SHOWN, *_DEATH],
        [_FOUND_NOTHING[0], *_CLAIM, *_DEATH, *_SHOWN, _FOUND_NOTHING[1]],
    ],
)
def test_a_commit_of_nobody_is_given_to_who_may_have_made_it(lines: list[str]) -> None:
    """A claim whose client died before its answer has made the commit that no call names; nobody is accused."""
    assert _nobodys(*lines) == []


def test_a_commit_of_nobody_that_nobody_can_have_made_is_found() -> None:
    """Where no call was in flight, a job that is claimed, and one that is gone, are anomalies at any instant."""
    gone = '"event": "observed", "jobs": {"J1": null}'
    assert _nobodys(*_FOUND_NOTHING, gone) == ["lost-job"]
    assert _nobodys(*_CLAIM, *_SHOWN, gone) == ["lost-job"]
