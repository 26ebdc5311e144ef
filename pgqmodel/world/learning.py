"""What a client learns when its call ends: the jobs that it now has, and how it goes on. Only clients change here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgqmodel.operations import ENQUEUE, SETTLEMENTS, Lease, Meaning, Operation, State, Status
from pgqmodel.world.client import Belief, CallInFlight, Client, believe, lose_answer

if TYPE_CHECKING:
    from pgqmodel.target import Target
    from pgqmodel.world.observer import Observer

__all__ = ["found_jobs", "learn", "lose", "take"]


def found_jobs(call: CallInFlight, observer: Observer, kind: Operation) -> list[str]:
    """The jobs of an accepted enqueue or claim: those that it returned; if none, those that its commit changed."""
    outcome = call.outcome
    if outcome is None or outcome.status is not Status.OK or not kind.names_job:
        return []
    returned = [row["job"] for row in (outcome.row, *outcome.also) if row.get("job") is not None]
    if returned:
        return list(dict.fromkeys(map(observer.names.name, returned)))
    taken = {move.after for move in kind.moves if move.meaning is Meaning.CLAIMED}
    wanted = {State.PENDING} if call.operation == ENQUEUE.name else taken
    return [name for name, state in call.changed.items() if state in wanted]


def take(call: CallInFlight, jobs: Sequence[str], observer: Observer) -> list[Belief]:
    """The claims that a worker believes to hold after its claim was answered with these jobs."""
    assert call.outcome is not None, "jobs come with an answer"
    rows = (call.outcome.row, *call.outcome.also)
    return [
        Belief(
            job=job,
            row=rows[min(number, len(rows) - 1)],
            call=call.number,
            environment=known.environment if (known := observer.jobs.get(job)) else None,
        )
        for number, job in enumerate(jobs)
    ]


def learn(client: Client, call: CallInFlight, target: Target) -> None:
    """A call was answered: update the client's beliefs about the claims that the call used or made."""
    assert call.outcome is not None, "it was answered"
    outcome = call.outcome
    rolled_back = Lease.TRANSACTION in target.leases and outcome.status is Status.ERROR
    about = call.jobs or (call.job,)
    known: list[Belief | None] = [belief for belief in client.held if belief.job not in about or not rolled_back]
    known = [
        believe(belief, call, outcome.status, outcome.row, client.habits) if belief and belief.job in about else belief
        for belief in known
    ]
    client.held = [belief for belief in known if belief is not None]


def lose(client: Client, call: CallInFlight) -> None:
    """An answer was lost: if it was a settlement's, the worker does not know whether the job is settled."""
    if call.operation not in SETTLEMENTS:
        return
    about = call.jobs or (call.job,)
    after = [
        lose_answer(belief, call.operation, client.habits) if belief.job in about else belief for belief in client.held
    ]
    client.held = [belief for belief in after if belief is not None]
