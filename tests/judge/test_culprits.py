"""Who is blamed for a change: the call that committed it, and never one that has not."""

from __future__ import annotations

from typing import Any

import pytest

from pgqmodel.history import Advanced, Committed, Event, Invoked, Job, Observed, Ran, Returned
from pgqmodel.judge import Judge
from pgqmodel.operations import State, Status

PENDING, RUNNING, COMPLETED = State.PENDING, State.RUNNING, State.COMPLETED
PROMISES = ("exclusive-claim", "fenced-settlement", "no-lost-job", "no-phantom-job", "final-states", "lease")


def begun(number: int, client: str, operation: str, *, is_open: bool = False, **about: Any) -> list[Event]:
    """A call whose statement has run."""
    return [
        Invoked(step=number, client=client, worker=client, call=number, operation=operation, **about),
        Ran(step=number, client=client, call=number, sql="", open=is_open),
    ]


def call(number: int, client: str, operation: str, jobs: dict[str, State], **about: Any) -> list[Event]:
    """A call that commits, and what its commit shows."""
    shown = {job: Job(job=job, state=state) for job, state in jobs.items()}
    names = tuple(jobs) if operation in {"enqueue", "claim"} else (None,)
    answer = Returned(step=number, client=client, call=number, status=Status.OK, job=names[0], also=names[1:])
    return [
        *begun(number, client, operation, **about),
        Committed(step=number, client=client, call=number),
        Observed(step=number, by=(number,), jobs=shown),
        answer,
    ]


def broken(*events: list[Event]) -> list[str]:
    """The anomalies of a history in which A claims two jobs at once, while M's reclaim is held before its commit."""
    first = [Advanced(step=0, seconds=0.0, now=1000.0), Observed(step=0)]
    before = [
        first,
        call(1, "P", "enqueue", {"J1": PENDING}),
        call(2, "P", "enqueue", {"J2": PENDING}),
        begun(3, "M", "reclaim", is_open=True),
        call(4, "A", "claim", {"J1": RUNNING, "J2": RUNNING}),
    ]
    judge = Judge(promises=dict.fromkeys(PROMISES, True), settings={"heartbeat_timeout_seconds": 30})
    return [found.anomaly for part in (*before, *events) for event in part for found in judge.findings(event)]


@pytest.mark.parametrize(("operation", "ends"), [("complete", COMPLETED), ("retry", PENDING)])
def test_a_change_is_no_doing_of_a_call_in_flight(operation: str, ends: State) -> None:
    """A settles by the token of its batch: both of its jobs change, and an open reclaim took none of them."""
    assert broken(call(5, "A", operation, {"J1": ends, "J2": ends}, job="J1", claim=4)) == []


def test_what_the_committer_may_not_do_is_its_own_doing() -> None:
    """A cancel of J2 that gives J1 back takes it from its holder: the open reclaim does not hide that."""
    assert broken(call(5, "P", "cancel", {"J1": PENDING}, job="J2")) == ["early-reclaim"]
