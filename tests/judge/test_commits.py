"""A change belongs to the commit that it was observed with: no open call is blamed for it, and no claim forgotten."""

from __future__ import annotations

import pytest

from pgqmodel.history import Advanced, Committed, Event, Invoked, Job, Observed, Ran, Returned
from pgqmodel.judge import Judge
from pgqmodel.operations import Lease, State, Status

FREE = Job(job="J1", state=State.PENDING, attempt=1)
HELD = Job(job="J1", state=State.RUNNING, attempt=1)


def history(*, committed: bool) -> list[Event]:
    """A reclaim has run and is open; then A's job is free again, by the commit of A's complete or of the reclaim."""
    reclaim, complete = (2, "M", "reclaim"), (3, "A", "complete")
    number, client, _ = complete if committed else reclaim
    return [
        Advanced(step=0, seconds=0.0, now=1000.0),
        Observed(step=0, jobs={"J1": FREE}),
        Invoked(step=1, client="A", worker="A", call=1, operation="claim"),
        Ran(step=1, client="A", call=1, sql="", open=False),
        Committed(step=1, client="A", call=1),
        Observed(step=1, by=(1,), jobs={"J1": HELD}),
        Returned(step=1, client="A", call=1, status=Status.OK, job="J1"),
        Invoked(step=2, client="M", worker="M", call=2, operation="reclaim"),
        Ran(step=2, client="M", call=2, sql="", open=True),
        Invoked(step=3, client="A", worker="A", call=3, operation="complete", job="J1", claim=1),
        Ran(step=3, client="A", call=3, sql="", open=True),
        Committed(step=4, client=client, call=number),
        Observed(step=4, by=(number,), jobs={"J1": FREE}),
    ]


@pytest.mark.parametrize(("committed", "broken"), [(True, []), (False, ["early-reclaim"])])
def test_an_open_reclaim_is_not_blamed_for_what_another_commit_did(committed: bool, broken: list[str]) -> None:
    """A complete that gives its job back is no reclaim; the reclaim's own commit, within the lease, is an early one."""
    judge = Judge(promises={"lease": True}, settings={"heartbeat_timeout_seconds": 30})

    found = [each for event in history(committed=committed) for each in judge.findings(event)]

    assert [each.anomaly for each in found] == broken


@pytest.mark.parametrize(("seconds", "broken"), [(31.0, []), (0.0, ["attempt-miscount"])])
def test_a_claim_whose_lease_is_over_at_its_commit_counts(seconds: float, broken: list[str]) -> None:
    """If the clock shows a job as free, a claim that commits late shows its number alone; without time it is wrong."""
    waits = Advanced(step=2, seconds=seconds, now=1000.0 + seconds)
    events: list[Event] = [
        Advanced(step=0, seconds=0.0, now=1000.0),
        Observed(step=0, jobs={"J1": Job(job="J1", state=State.PENDING, attempt=0)}),
        Invoked(step=1, client="A", worker="A", call=1, operation="claim"),
        Ran(step=1, client="A", call=1, sql="", open=True),
        *([waits] if seconds else []),
        Committed(step=3, client="A", call=1),
        Observed(step=3, by=(1,), jobs={"J1": FREE}),
        Returned(step=3, client="A", call=1, status=Status.UNKNOWN),
        Invoked(step=4, client="B", worker="B", call=2, operation="claim"),
        Ran(step=4, client="B", call=2, sql="", open=False),
        Committed(step=4, client="B", call=2),
        Observed(step=4, by=(2,), jobs={"J1": Job(job="J1", state=State.RUNNING, attempt=2)}),
        Returned(step=4, client="B", call=2, status=Status.OK, job="J1"),
    ]
    promises = {"attempts": True, "exclusive-claim": True}
    judge = Judge(promises=promises, settings={"heartbeat_timeout_seconds": 30})

    assert [each.anomaly for event in events for each in judge.findings(event)][:1] == broken


@pytest.mark.parametrize(("seconds", "broken"), [(30.0, []), (90.0, ["double-claim"])])
def test_a_lapsed_job_is_claimed_again_under_the_same_name_and_late(seconds: float, broken: list[str]) -> None:
    """The second claim changes the end of the lease alone, and that is over at its commit: the end before it counts."""

    def claim(number: int, now: float) -> list[Event]:
        until = now - 31.0 + seconds
        state = State.PENDING if until < now else State.RUNNING
        return [
            Invoked(step=number, client="A", worker="A", call=number, operation="claim"),
            Ran(step=number, client="A", call=number, sql="", open=True),
            Advanced(step=number, seconds=31.0, now=now),
            Committed(step=number, client="A", call=number),
            Observed(step=number, by=(number,), jobs={"J1": Job(job="J1", state=state, holder="A", lease_until=until)}),
            Returned(step=number, client="A", call=number, status=Status.OK, job="J1"),
        ]

    events: list[Event] = [
        Advanced(step=0, seconds=0.0, now=1000.0),
        Observed(step=0, jobs={"J1": Job(job="J1", state=State.PENDING)}),
        *claim(1, 1031.0),
        *claim(2, 1062.0),
    ]
    judge = Judge(promises={"exclusive-claim": True}, settings={}, leases=(Lease.UNTIL,))

    assert [each.anomaly for event in events for each in judge.findings(event)] == broken
