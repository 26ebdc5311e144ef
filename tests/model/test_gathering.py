"""What explanations say of a job's columns: moments since the story's start, numbers as they are."""

from __future__ import annotations

from typing import Any

import pytest

from pgqmodel.checks.paths import examine
from pgqmodel.history import Job, parse
from pgqmodel.model.gathering import job_seen
from pgqmodel.model.state import ModelState
from pgqmodel.operations import State
from pgqmodel.report.sentences import clause, told

ORDER = '"claim-order": [["run_at", "asc"]]'
START = 1_700_000_000.0
COLUMNS = {
    "a moment": ({"run_at": START + 31}, "run_at 31 s"),
    "a far moment": ({"run_at": 253_402_300_799.0}, "run_at 9999-12-31 23:59:59 UTC"),
    "a moment that never comes": ({"run_at": float("inf")}, "run_at infinity"),
    "a moment in whole seconds": ({"run_at": 1_700_000_031}, "run_at 31 s"),
    "no moment": ({"run_at": None}, "run_at None"),
    "an epoch of a column that nobody knows": ({"score": START + 2.5}, "score 2.5 s"),
    "a whole number": ({"priority": 1_700_000_031}, "priority 1700000031"),
    "a fraction": ({"score": 0.5}, "score 0.5"),
    "true": ({"run_at": True}, "run_at True"),
}


@pytest.mark.parametrize(("order", "words"), COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_told(order: dict[str, Any], words: str) -> None:
    """A column that holds moments is told in seconds since the start or as a date; others keep their values."""
    state = ModelState(start=START, moments=frozenset({"run_at"}))
    job = job_seen(state, Job(job="J2", state=State.PENDING, order=order))
    assert clause(job) == f"J2 (pending, {words})"


def _job(name: str, run_at: str, state: str = "pending") -> str:
    return f'"{name}": {{"job": "{name}", "state": "{state}", "order": {{"run_at": {run_at}}}}}'


def _call(number: int, operation: str, job: str, shows: str) -> list[str]:
    """A call of its own in time, `number` seconds after the start."""
    who = f'"client": "c", "call": {number}'
    at = [f'"at": {START + number + part / 10}' for part in range(4)]
    return [
        f'{{"event": "invoked", {at[0]}, {who}, "worker": "c", "operation": "{operation}"',
        f'{{"event": "committed", {at[1]}, {who}',
        f'{{"event": "observed", {at[2]}, "by": [{number}], "jobs": {{{shows}}}',
        f'{{"event": "returned", {at[3]}, {who}, "status": "ok", "job": "{job}"',
    ]


@pytest.mark.parametrize("header", ["", ', "moments": ["run_at"]'])
def test_a_recorded_order_is_told_from_the_first_moment(header: str) -> None:
    """In a recorded history a moment is told since the first event, whether its header names the column or not."""
    lines = [
        f'{{"event": "judged", "at": {START}, "target": "t", "promises": {{{ORDER}}}{header}',
        *_call(1, "enqueue", "a", _job("a", f"{START + 1}")),
        *_call(2, "enqueue", "b", _job("b", f"{START + 32.5}")),
        *_call(3, "claim", "b", _job("b", f"{START + 32.5}", "running")),
        f'{{"event": "draining", "at": {START + 9}',
    ]
    verdicts = examine(parse("\n".join(f'{line}, "step": {step}}}' for step, line in enumerate(lines, 1))))
    first = verdicts.promises["claim-order"].first
    assert first is not None
    assert told(first.facts)[0] == (
        "a (pending, run_at 1 s) could be claimed from before c's claim (begun at step 10) until after it, and comes "
        "before b (pending, run_at 32.5 s) by run_at asc."
    )
