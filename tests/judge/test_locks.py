"""When the refusal of a deploy lock is a leak: only if nobody held the lock from its first statement on."""

from __future__ import annotations

from collections.abc import Iterator

from pgqmodel.history import Committed, Connected, Ended, Event, Invoked, Job, Observed, Ran, Returned
from pgqmodel.judge import Judge
from pgqmodel.operations import State, Status

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
