"""A settlement that lets its lock go first: until somebody else claims the job, it is still its holder's to settle."""

from __future__ import annotations

from typing import Any

from pgqmodel.history import Advanced, Committed, Event, Invoked, Job, Observed, Ran, Returned
from pgqmodel.judge import Judge
from pgqmodel.operations import State, Status

PENDING, RUNNING, COMPLETED = State.PENDING, State.RUNNING, State.COMPLETED
PROMISES = ("exclusive-claim", "fenced-settlement", "no-lost-job", "final-states", "lease")


def begins(number: int, client: str, operation: str, **about: Any) -> list[Event]:
    """A call begins."""
    return [Invoked(step=number, client=client, worker=client, call=number, operation=operation, **about)]


def commits(number: int, client: str, state: State | None) -> list[Event]:
    """A statement of a call commits by itself; the job is in another state then, or in the same."""
    call = {"step": number, "client": client, "call": number}
    shown = [] if state is None else [Observed(step=number, by=(number,), jobs={"J1": Job(job="J1", state=state)})]
    return [Ran(sql="", open=False, **call), Committed(**call), *shown]


def ends(number: int, client: str, status: Status = Status.OK, job: str | None = None) -> list[Event]:
    """A call is answered."""
    return [Returned(step=number, client=client, call=number, status=status, job=job)]


ADDED = [*begins(1, "P", "enqueue"), *commits(1, "P", PENDING), *ends(1, "P", job="J1")]
CLAIMED = [*begins(2, "A", "claim"), *commits(2, "A", RUNNING), *ends(2, "A", job="J1")]
LETS_GO = [*begins(3, "A", "complete", job="J1", claim=2), *commits(3, "A", PENDING)]
ALSO = [*begins(4, "B", "claim"), *commits(4, "B", RUNNING), *ends(4, "B", job="J1")]


def broken(*events: Event) -> list[str]:
    """The anomalies of a history in which A has claimed J1."""
    judge = Judge(promises=dict.fromkeys(PROMISES, True), settings={"heartbeat_timeout_seconds": 30})
    before = [Advanced(step=0, seconds=0.0, now=1000.0), Observed(step=0), *ADDED, *CLAIMED]
    return [found.anomaly for event in (*before, *events) for found in judge.findings(event)]


def test_it_may_go_on() -> None:
    """Nobody was there in between: the job is done, by its holder."""
    assert broken(*LETS_GO, *commits(3, "A", COMPLETED), *ends(3, "A")) == []


def test_another_may_claim_the_job_meanwhile() -> None:
    """The lock is free, so B may have it; A's fence sees that, and refuses A. Before it lets go, nobody may."""
    assert broken(*LETS_GO, *ALSO, *commits(3, "A", None), *ends(3, "A", Status.REFUSED)) == []
    assert broken(*ALSO) == ["double-claim"]


def test_what_another_has_claimed_meanwhile_is_not_its_to_end() -> None:
    """B works on the job when A goes on: A's complete ends what is B's."""
    assert "stale-settlement" in broken(*LETS_GO, *ALSO, *commits(3, "A", COMPLETED), *ends(3, "A"))
