"""Programs: their calls are dated by their transactions, and two bodies of one job at once are one too many."""

from __future__ import annotations

import pytest

from pgqmodel.history import (
    Advanced,
    Committed,
    Ended,
    Event,
    Executed,
    Invoked,
    Job,
    Observed,
    Returned,
    Working,
)
from pgqmodel.judge import Judge
from pgqmodel.operations import Lease, State, Status

PENDING = Job(job="J1", state=State.PENDING)
LATER = 1031.0


def running(holder: str, until: float | None = None) -> Job:
    """The job in the hands of a worker."""
    return Job(job="J1", state=State.RUNNING, holder=holder, lease_until=until)


def call(
    step: int, client: str, operation: str, shown: Job, claim: int | None = None, *, ran_before: bool = False
) -> list[Event]:
    """A call that was inferred from a commit; it has the number of its step, and runs in it, if not before."""
    about = {"job": None if operation in {"claim", "enqueue"} else "J1", "claim": claim, "line": f"{client}.1"}
    answered = "J1" if operation == "claim" else None
    return [
        *([] if ran_before else [ran(step, client, is_open=False)]),
        Invoked(step=step, client=client, worker=client, call=step, operation=operation, **about),
        Committed(step=step, client=client, call=step),
        Observed(step=step, by=(step,), jobs={"J1": shown}),
        Returned(step=step, client=client, call=step, status=Status.OK, job=answered),
    ]


def ran(step: int, client: str, *, is_open: bool) -> Executed:
    """A unit on the program's first connection."""
    return Executed(step=step, client=client, line=f"{client}.1", sql="UPDATE jobs", tag="UPDATE 1", open=is_open)


def works(step: int, client: str, *, over: bool = False) -> Working:
    """The body of the job begins, or is over."""
    return Working(step=step, client=client, line=f"{client}.1", job="J1", over=over)


def start() -> list[Event]:
    """A job was added."""
    return [Advanced(step=0, seconds=0.0, now=1000.0), Observed(step=0, jobs={"J1": PENDING})]


def passes(step: int, now: float) -> Advanced:
    """Time passes."""
    return Advanced(step=step, seconds=now - 1000.0, now=now)


def anomalies(*events: Event, lease: Lease = Lease.UNTIL) -> list[str]:
    """What a judge finds in a story."""
    promises = {"exclusive-claim": True, "lease": True, "fenced-settlement": True}
    judge = Judge(promises=promises, settings={"heartbeat_timeout_seconds": 30}, leases=(lease,))
    return [found.anomaly for event in events for found in judge.findings(event)]


CLAIMED = [*start(), *call(1, "A", "claim", running("A", 1030.0)), works(1, "A")]


def test_two_bodies_at_once_are_a_double_claim() -> None:
    """The rows say that A has the job; B runs it all the same."""
    assert anomalies(*CLAIMED, works(2, "B")) == ["double-claim"]


@pytest.mark.parametrize(
    "between",
    [
        [works(2, "A", over=True)],
        [Ended(step=2, client="A", crashed=True)],
        [passes(2, LATER)],
        [passes(2, LATER), *call(3, "M", "reclaim", PENDING), *call(4, "B", "claim", running("B", 1061.0))],
    ],
    ids=["it is over", "its program is dead", "its lease is over", "it was taken back"],
)
def test_a_second_body_is_right_once_the_first_is_no_holders(between: list[Event]) -> None:
    """A body whose program is dead or late is nobody's claim any more."""
    assert anomalies(*CLAIMED, *between, works(5, "B")) == []


def test_a_heartbeat_is_as_old_as_its_transaction() -> None:
    """It read the clock 31 seconds before it committed, so the lease that it wrote is over: to reclaim is right."""
    beat = [ran(2, "A", is_open=True), passes(3, LATER), ran(4, "A", is_open=False)]
    known = [
        *start(),
        *call(1, "A", "claim", running("A")),
        *beat,
        *call(4, "A", "heartbeat", running("A"), 1, ran_before=True),
    ]
    assert anomalies(*known, *call(5, "M", "reclaim", PENDING), lease=Lease.HEARTBEAT) == []


def test_a_heartbeat_in_time_keeps_the_job() -> None:
    """The same heartbeat in a transaction of the present: to reclaim is too early."""
    beat = [passes(2, 1025.0), ran(3, "A", is_open=False)]
    known = [
        *start(),
        *call(1, "A", "claim", running("A")),
        *beat,
        *call(3, "A", "heartbeat", running("A"), 1, ran_before=True),
    ]
    late = [passes(4, LATER), *call(5, "M", "reclaim", PENDING)]
    assert anomalies(*known, *late, lease=Lease.HEARTBEAT) == ["early-reclaim"]


def test_a_late_holder_is_found_by_its_commit() -> None:
    """A completes the job that is B's by now."""
    taken = [passes(2, LATER), *call(3, "M", "reclaim", PENDING), *call(4, "B", "claim", running("B", 1061.0))]
    done = Job(job="J1", state=State.COMPLETED)
    assert anomalies(*CLAIMED, *taken, *call(5, "A", "complete", done, claim=1))[:1] == ["stale-settlement"]


def test_two_bodies_of_a_job_whose_claims_do_not_show() -> None:
    """Where a lock or an open transaction is the claim, the first body stands for it."""
    assert anomalies(*start(), works(1, "A"), works(2, "B")) == ["double-claim"]


@pytest.mark.parametrize(
    "between", [Ended(step=2, client="A", line="A.2"), passes(2, LATER)], ids=["its lock may be gone", "it is late"]
)
def test_what_kept_others_away_may_be_over(between: Event) -> None:
    """A connection ended, and with it perhaps the lock; or the lease is over."""
    assert anomalies(*start(), works(1, "A"), between, works(3, "B")) == []


def test_a_job_may_be_claimed_and_settled_in_one_commit() -> None:
    """The claim shows nothing, the settlement is its own."""
    claim = [event for event in call(2, "A", "claim", PENDING) if not isinstance(event, Observed)]
    done = Job(job="J1", state=State.COMPLETED)
    assert anomalies(*start(), works(1, "A"), *claim, *call(3, "A", "complete", done, 2, ran_before=True)) == []
