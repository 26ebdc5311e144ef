"""`unique-key`: what one enqueue may bring, beside two live jobs of one key."""

from __future__ import annotations

import pytest

from pgqmodel.catalogue import Catalogue
from pgqmodel.history import Advanced, Committed, Event, Invoked, Job, Observed, Ran, Returned
from pgqmodel.judge import Judge
from pgqmodel.operations import OPERATIONS, State, Status, maintenance

PENDING, WAITING, CANCELLED = State.PENDING, State.WAITING, State.CANCELLED


def committed(number: int, client: str, job: Job) -> list[Event]:
    """A statement of a call commits, and a job is seen."""
    call = {"step": number, "client": client, "call": number}
    return [
        Ran(sql="", open=False, **call),
        Committed(**call),
        Observed(step=number, by=(number,), jobs={job.job: job}),
    ]


def enqueued(first: Job, second: Job, *, cancelled: bool = False) -> list[str]:
    """The anomalies of one accepted enqueue that adds two jobs, one commit each; in between the first is cancelled."""
    begins = Invoked(step=1, client="P", worker="P", call=1, operation="enqueue", arguments={"unique_key": "k"})
    cancels = Invoked(step=2, client="P2", worker="P2", call=2, operation="cancel", job="J1")
    over = Job(job="J1", state=CANCELLED, unique_key=first.unique_key)
    between = [cancels, *committed(2, "P2", over), Returned(step=2, client="P2", call=2, status=Status.OK)]
    events: list[Event] = [
        Advanced(step=0, seconds=0.0, now=1000.0),
        Observed(step=0),
        begins,
        *committed(1, "P", first),
        *(between if cancelled else []),
        *committed(1, "P", second),
        Returned(step=1, client="P", call=1, status=Status.OK, job="J1"),
    ]
    judge = Judge(promises={"unique-key": True}, settings={})
    return [found.anomaly for event in events for found in judge.findings(event)]


@pytest.mark.parametrize("key", [None, "of the child"])
def test_a_job_may_bring_others(key: str | None) -> None:
    """A job and the one that waits for it come with one enqueue: each is there once."""
    assert enqueued(Job(job="J1", state=PENDING, unique_key="k"), Job(job="J2", state=WAITING, unique_key=key)) == []
    assert enqueued(Job(job="J1", state=PENDING), Job(job="J2", state=WAITING, unique_key=key)) == []


@pytest.mark.parametrize("cancelled", [False, True])
def test_two_of_one_key_are_one_too_many(cancelled: bool) -> None:
    """Two live ones show at once, and two of which the first is over when the second comes."""
    jobs = [Job(job=name, state=PENDING, unique_key="k") for name in ("J1", "J2")]
    assert set(enqueued(*jobs, cancelled=cancelled)) == {"duplicate-key"}


@pytest.mark.parametrize(("key", "times"), [("k", 1), (None, 0)])
def test_a_tick_beside_a_live_key_is_a_trial(key: str | None, times: int) -> None:
    """Where a clock adds jobs, no enqueue has a key; the promise is tried all the same."""
    kinds = Catalogue((*OPERATIONS.values(), maintenance("tick", [(None, PENDING)])))
    judge = Judge(promises={"unique-key": True}, settings={}, kinds=kinds)
    events: list[Event] = [
        Advanced(step=0, seconds=0.0, now=1000.0),
        Observed(step=0),
        Invoked(step=1, client="M", worker="M", call=1, operation="tick"),
        *committed(1, "M", Job(job="J1", state=PENDING, unique_key=key)),
        Returned(step=1, client="M", call=1, status=Status.OK),
    ]
    for event in events:
        judge.examine(event)
    assert judge.exercised.get("unique-key", 0) == times
