"""A settlement in several commits: it counts from the commit that changed its job, not from the last one."""

from __future__ import annotations

import pytest

from pgqmodel.history import Advanced, Committed, Event, Invoked, Job, Observed, Ran, Returned
from pgqmodel.judge import Judge
from pgqmodel.operations import State, Status


def job(state: State, due: float) -> Job:
    """The job as a commit shows it; while its lock is held it looks as if it ran."""
    return Job(job="J1", state=state, eligible_at=due)


def call(number: int, client: str, operation: str, **about: object) -> list[Event]:
    """A call begins, and its first statement commits."""
    return [
        Invoked(step=number, client=client, worker=client, call=number, operation=operation, job="J1", **about),  # type: ignore[arg-type]
        Ran(step=number, client=client, call=number, sql=""),
        Committed(step=number, client=client, call=number),
    ]


def history(*, writes: bool) -> list[Event]:
    """A's fail writes its change or does not, P cancels the job, and A's fail commits a last time and is accepted."""
    return [
        Advanced(step=0, seconds=0.0, now=1000.0),
        Observed(step=0, jobs={"J1": job(State.PENDING, 1000.0)}),
        Invoked(step=1, client="A", worker="A", call=1, operation="claim"),
        *call(1, "A", "claim")[1:],
        Observed(step=1, by=(1,), jobs={"J1": job(State.RUNNING, 1000.0)}),
        Returned(step=1, client="A", call=1, status=Status.OK, job="J1"),
        *call(2, "A", "fail", claim=1),
        *([Observed(step=2, by=(2,), jobs={"J1": job(State.RUNNING, 1005.0)})] if writes else []),
        *call(3, "P", "cancel"),
        Observed(step=3, by=(3,), jobs={"J1": job(State.CANCELLED, 1005.0 if writes else 1000.0)}),
        Returned(step=3, client="P", call=3, status=Status.OK),
        Ran(step=4, client="A", call=2, sql=""),
        Committed(step=4, client="A", call=2),
        Returned(step=4, client="A", call=2, status=Status.OK),
    ]


@pytest.mark.parametrize(("writes", "broken"), [(True, []), (False, ["stale-settlement"])])
def test_a_settlement_counts_from_the_commit_that_changed_its_job(writes: bool, broken: list[str]) -> None:
    """What follows may be the release of a lock; but one that had changed nothing before is accepted too late."""
    judge = Judge(promises={"fenced-settlement": True}, settings={"heartbeat_timeout_seconds": 30})

    assert [each.anomaly for event in history(writes=writes) for each in judge.findings(event)] == broken
