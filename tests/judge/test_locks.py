"""When the refusal of a deploy lock is a leak: only if nobody held the lock from its first statement on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgqmodel.history import Committed, Connected, Ended, Event, Invoked, Job, Observed, Ran, Returned
from pgqmodel.judge import Judge
from pgqmodel.operations import Lease, State, Status

PROMISES = {"lock-release": True}


def claimed(job: str, client: str, call: int) -> Iterator[Event]:
    """A worker claims a job of the environment prod."""
    row = Job(job=job, state=State.PENDING, attempt=0, environment="prod")
    running = Job(job=job, state=State.RUNNING, holder=client, attempt=1, environment="prod")
    yield Observed(step=call, jobs={job: row})
    yield Invoked(step=call, client=client, worker=client, call=call, operation="claim")
    yield Ran(step=call, client=client, call=call, sql="claim")
    yield Committed(step=call, client=client, call=call)
    yield Observed(step=call, by=(call,), jobs={job: running})
    yield Returned(step=call, client=client, call=call, status=Status.OK, job=job)


def asks(job: str, client: str, call: int, claim: int) -> Iterator[Event]:
    """It asks for the lock; the statement has run, and its commit is held."""
    yield Invoked(step=call, client=client, worker=client, call=call, operation="lock", job=job, claim=claim)
    yield Ran(step=call, client=client, call=call, sql="lock", open=True)


def answered(client: str, call: int, status: Status) -> Iterator[Event]:
    """The commit goes on, and the answer comes."""
    yield Committed(step=call + 10, client=client, call=call)
    yield Returned(step=call + 10, client=client, call=call, status=status)


def judged(*parts: Iterator[Event] | Event) -> list[str]:
    """The anomalies in a history that begins with B holding the lock of prod."""
    judge = Judge(promises=PROMISES, settings={})
    begin = [
        *(Connected(step=0, client=client, worker=client) for client in "AB"),
        *claimed("J1", "A", 1),
        *claimed("J2", "B", 2),
        *asks("J2", "B", 3, claim=2),
        *answered("B", 3, Status.OK),
    ]
    rest = [event for part in parts for event in ([part] if isinstance(part, Event) else part)]
    return [broken.anomaly for event in (*begin, *rest) for broken in judge.findings(event)]


def test_a_lock_that_was_held_when_it_was_asked_for_may_be_refused() -> None:
    """Its holder's session ends while the commit of the refusal is held: what the statement saw was true."""
    ended = Ended(step=5, client="B")
    assert judged(asks("J1", "A", 4, claim=1), ended, answered("A", 4, Status.REFUSED)) == []


def test_a_lock_that_nobody_held_any_more_may_not() -> None:
    """The same, asked for after the session had ended."""
    ended = Ended(step=4, client="B")
    assert judged(ended, asks("J1", "A", 5, claim=1), answered("A", 5, Status.REFUSED)) == ["lock-leak"]


def found(promise: str, *then: Event, answered: bool) -> list[str]:
    """The anomalies of a history in which A's claim takes J1's lock, and is answered with J1 or with nothing."""
    given = Returned(step=1, client="A", call=1, status=Status.OK, job="J1")
    events: list[Event] = [
        Observed(step=0, jobs={"J1": Job(job="J1", state=State.PENDING)}),
        Invoked(step=1, client="A", worker="A", call=1, operation="claim"),
        Ran(step=1, client="A", call=1, sql=""),
        Observed(step=1, by=(1,), jobs={"J1": Job(job="J1", state=State.RUNNING)}),
        given if answered else Returned(step=1, client="A", call=1, status=Status.EMPTY),
        *then,
    ]
    judge = Judge(promises={promise: True}, settings={}, leases=(Lease.SESSION,))
    return [each.anomaly for event in events for each in judge.findings(event)]


@pytest.mark.parametrize("client", ["A", "B"])
@pytest.mark.parametrize(("answered", "broken"), [(False, []), (True, ["double-claim"])])
def test_a_claim_in_vain_makes_no_holder(answered: bool, broken: list[str], client: str) -> None:
    """A's first claim kept the lock of a job that it did not give to its worker: nobody runs the job twice."""
    again = (
        Invoked(step=2, client=client, worker=client, call=2, operation="claim"),
        Ran(step=2, client=client, call=2, sql=""),
        Returned(step=2, client=client, call=2, status=Status.OK, job="J1"),
    )
    assert found("exclusive-claim", *again, answered=answered) == broken


@pytest.mark.parametrize(("answered", "broken"), [(False, []), (True, ["early-reclaim"])])
def test_a_lock_taken_in_vain_may_be_released(answered: bool, broken: list[str]) -> None:
    """A's next claim begins with pg_advisory_unlock_all: with its own job that would be a job taken from its holder."""
    unlocks = (
        Invoked(step=2, client="A", worker="A", call=2, operation="claim"),
        Ran(step=2, client="A", call=2, sql=""),
        Observed(step=2, by=(2,), jobs={"J1": Job(job="J1", state=State.PENDING)}),
    )
    assert found("lease", *unlocks, answered=answered) == broken
