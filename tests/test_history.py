"""The text form of histories: JSON that every reader takes, and exact."""

from __future__ import annotations

import json
from typing import NoReturn

import pytest

from pgqmodel.history import Job, Observed, parse, render
from pgqmodel.operations import State

INFINITE = float("inf")
EVENT = Observed(
    step=1,
    jobs={
        "J1": Job(job="J1", state=State.PENDING, eligible_at=INFINITE, order={"due": INFINITE, "name": "infinity"}),
        "J2": Job(job="J2", state=State.PENDING, eligible_at=-INFINITE, order={"due": -INFINITE, "name": "number"}),
    },
    environments={"prod": INFINITE, "test": "-infinity"},
)


def _refuse(word: str) -> NoReturn:
    raise AssertionError(word)


def test_infinite_values_are_json() -> None:
    """What is infinite is written in words, since RFC 8259 has no such number; it is read back the same."""
    text = render([EVENT])
    record = json.loads(text, parse_constant=_refuse)
    assert record["jobs"]["J1"]["eligible_at"] == "infinity"
    assert record["jobs"]["J2"]["order"] == {"due": {"number": "-infinity"}, "name": "number"}
    assert record["environments"] == {"prod": {"number": "infinity"}, "test": "-infinity"}
    assert parse(text) == [EVENT]


def test_bare_infinity_is_still_read() -> None:
    """What earlier versions wrote means the same."""
    row = '{"job": "J1", "state": "pending", "eligible_at": Infinity, "order": {"due": -Infinity}}'
    (event,) = parse(f'{{"event": "observed", "step": 1, "jobs": {{"J1": {row}}}}}')
    assert isinstance(event, Observed)
    job = event.jobs["J1"]
    assert job is not None
    assert (job.eligible_at, job.order["due"]) == (INFINITE, -INFINITE)


@pytest.mark.parametrize("value", ['"tomorrow"', "NaN", '{"number": "infinity"}'])
def test_another_word_is_no_moment(value: str) -> None:
    """A moment is a number or one of two words."""
    row = f'{{"job": "J1", "state": "pending", "eligible_at": {value}}}'
    with pytest.raises(ValueError, match="line 1 of the history is not an event"):
        parse(f'{{"event": "observed", "step": 1, "jobs": {{"J1": {row}}}}}')
