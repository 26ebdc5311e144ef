"""A job's script: strict about what it says, and the waits of those who try again."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from pgqmodel.client import ClaimedJob
from pgqmodel.client.backoff import Backoff
from pgqmodel.client.runner import line_of
from pgqmodel.client.script import Deploy, JobScript, read_script
from pgqmodel.errors import JobFailedError


@pytest.mark.parametrize(
    ("payload", "script"),
    [
        (None, JobScript()),
        ({}, JobScript()),
        ({"seconds": 1, "lines": None}, JobScript(seconds=1.0)),
        ({"deploy": True}, JobScript(deploy=Deploy())),
        ({"deploy": False}, JobScript()),
        ({"deploy": {"tries": 3, "wait": 0.5, "seconds": 2}}, JobScript(deploy=Deploy(tries=3, wait=0.5, seconds=2.0))),
        ({"fail_times": 2, "fail": True, "retry": True}, JobScript(fail_times=2, fail=True, retry=True)),
    ],
)
def test_a_script_is_read(payload: Any, script: JobScript) -> None:
    """A payload says what its job does, and nothing by default."""
    assert read_script(payload) == script


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        ([], "the payload"),
        ("text", "the payload"),
        ({"second": 1}, "second"),
        ({"seconds": "1"}, "seconds"),
        ({"seconds": True}, "seconds"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"seconds": 1e300}, "seconds"),
        ({"lines": 1.5}, "lines"),
        ({"lines": -1}, "lines"),
        ({"lines_per_second": 0}, "lines_per_second"),
        ({"junk": 1}, "junk"),
        ({"fail": "yes"}, "fail"),
        ({"deploy": 1}, "deploy"),
        ({"deploy": {"tries": 0}}, "deploy.tries"),
        ({"deploy": {"environment": "prod"}}, "deploy.environment"),
    ],
)
def test_a_wrong_script_is_a_clear_failure(payload: Any, key: str) -> None:
    """What means nothing fails its job, and the error names the key, what was found and what was expected."""
    with pytest.raises(JobFailedError, match=f"wrong at {key}: found .*; expected .*. Correct its payload"):
        read_script(payload)


@pytest.mark.parametrize("filling", [{}, {"wide": True}, {"junk": True}])
def test_lines_are_the_same_each_time(filling: dict[str, bool]) -> None:
    """A line is known by its job, attempt and number, about as long as asked for, and one line."""
    script = JobScript(line_bytes=200, **filling)  # type: ignore[arg-type]
    claim = ClaimedJob(job="7", call=1, row={"attempt": 2})
    line = line_of(claim, 3, script, at=1.5)
    assert line == line_of(claim, 3, script, at=2.5), "without a stamp the time is not in it"
    assert line.startswith(b"7/2 line 3 ")
    assert 196 < len(line) <= 200
    assert b"\n" not in line


def test_backoff_doubles_up_to_its_bound_and_repeats_by_its_seed() -> None:
    """Waits lie between nothing and a bound that doubles to a maximum; a success starts anew; a seed repeats them."""
    one, other = (Backoff(random=Random(7), seconds_first=1.0, seconds_max=8.0) for _ in range(2))
    bounds = [1.0, 2.0, 4.0, *[8.0] * 200]
    waits = [one.next_seconds() for _ in bounds]
    assert all(0 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))
    assert waits == [other.next_seconds() for _ in bounds]
    assert max(waits) > 7.0, "the jitter is full"
    assert min(waits[3:]) < 1.0
    one.reset()
    assert one.next_seconds() <= 1.0
