"""A job that is given back without a word: only the next claim shows it, and the answer may be lost."""

from __future__ import annotations

from typing import Any

import pytest

from pgqmodel.history import Advanced, Committed, Event, Invoked, Job, Observed, Ran, Returned
from pgqmodel.judge import Judge
from pgqmodel.operations import State, Status


def call(
    number: int, client: str, operation: str, status: Status, shown: Job | None = None, **about: Any
) -> list[Event]:
    """A call that commits; `shown` is its job afterwards, where that differs."""
    events: list[Event] = [
        Invoked(step=number, client=client, worker=client, call=number, operation=operation, **about),
        Ran(step=number, client=client, call=number, sql="", open=False),
        Committed(step=number, client=client, call=number),
    ]
    if shown is not None:
        events.append(Observed(step=number, by=(number,), jobs={"J1": shown}))
    answered = "J1" if operation in {"enqueue", "claim"} else None
    return [*events, Returned(step=number, client=client, call=number, status=status, job=answered)]


def history(*between: list[Event]) -> list[Event]:
    """A job is added and claimed; something happens; then another client claims it, within the first one's lease."""
    leased = [Job(job="J1", state=State.RUNNING, attempt=attempt) for attempt in (1, 2)]
    return [
        Advanced(step=0, seconds=0.0, now=1000.0),
        Observed(step=0),
        *call(1, "P", "enqueue", Status.OK, Job(job="J1", state=State.PENDING, attempt=0)),
        *call(2, "A", "claim", Status.OK, leased[0]),
        *(event for events in between for event in events),
        *call(4, "B", "claim", Status.OK, leased[1]),
    ]


def broken(events: list[Event]) -> list[str]:
    """The anomalies in a history."""
    judge = Judge(promises={"exclusive-claim": True, "lease": True}, settings={"heartbeat_timeout_seconds": 30})
    return [found.anomaly for event in events for found in judge.findings(event)]


@pytest.mark.parametrize("status", [Status.OK, Status.UNKNOWN])
@pytest.mark.parametrize("operation", ["retry", "fail"])
def test_what_was_given_back_may_be_claimed(operation: str, status: Status) -> None:
    """A retry or a fail committed: the job is free, whether its holder was told so or not."""
    assert broken(history(call(3, "A", operation, status, job="J1", claim=2))) == []


def test_what_nobody_gave_back_may_not() -> None:
    """Without it the second claim is one too many; so is it after a settlement that gives nothing back."""
    assert broken(history()) == ["double-claim"]
    assert broken(history(call(3, "A", "complete", Status.UNKNOWN, job="J1", claim=2))) == ["double-claim"]
