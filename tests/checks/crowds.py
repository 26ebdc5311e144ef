"""Long client histories: fifty clients at fifty jobs, with reclaims and lost answers, and one violation planted."""

from __future__ import annotations

import random

from attrs import define, field

from checks.histories import Played
from pgqmodel.operations import Status

__all__ = ["crowd", "double", "impossible"]


@define
class _Crowd:
    """A right queue at work: each client has one call in flight at most, and calls overlap widely."""

    chance: random.Random
    clients: int
    jobs: dict[str, list[object]] = field(factory=dict)
    held: dict[str, Played] = field(factory=dict)
    free_at: dict[str, float] = field(factory=dict)
    calls: list[Played] = field(factory=list)

    def call(self, at: float, client: str, operation: str, claim: Played | None = None) -> Played:
        """One more call whose effect is at `at`."""
        begins = max(self.free_at.get(client, -100.0), at - self.chance.random() * 20)
        ends = at + self.chance.random() * 20
        made = Played(number=len(self.calls) + 1, client=client, operation=operation, begins=begins, ends=ends)
        if claim is not None:
            made.job, made.claim = claim.job, claim.number
        if self.chance.random() < 0.03:
            made.status, made.answered = Status.UNKNOWN, self.chance.random() < 0.5
        self.free_at[client] = ends
        self.calls.append(made)
        return made

    def take(self, at: float, client: str) -> None:
        """The client claims a job, or finds none."""
        made = self.call(at, client, "claim")
        ready = [job for job, row in self.jobs.items() if row[0] == "pending"]
        if not ready:
            made.status = Status.EMPTY if made.status is Status.OK else made.status
            return
        made.job = self.chance.choice(ready)
        attempts = self.jobs[made.job][2]
        assert isinstance(attempts, int)
        made.attempt = attempts + 1
        self.jobs[made.job] = ["running", made.number, made.attempt]
        if made.status is Status.OK:
            self.held[client] = made

    def go_on(self, at: float, client: str) -> None:
        """The client beats, gives its job back, or rarely is done with it."""
        claim = self.held[client]
        operation = self.chance.choices(["heartbeat", "retry", "fail", "complete"], [4, 4, 1, 0.15])[0]
        made = self.call(at, client, operation, claim)
        assert claim.job is not None
        row = self.jobs[claim.job]
        if row[:2] != ["running", claim.number]:
            made.status = Status.REFUSED if made.status is Status.OK else made.status
            del self.held[client]
        elif operation != "heartbeat":
            row[0] = "completed" if operation == "complete" else "pending"
            del self.held[client]

    def reclaim(self, at: float) -> None:
        """Maintenance takes some jobs back."""
        self.call(at, "M", "reclaim")
        for row in self.jobs.values():
            if row[0] == "running" and self.chance.random() < 0.3:
                row[0] = "pending"


def crowd(chance: random.Random, *, calls: int = 2000, clients: int = 50, jobs: int = 50) -> list[Played]:
    """A right history of many calls."""
    at_work = _Crowd(chance, clients)
    for number in range(calls):
        at = float(number)
        client = chance.choice(
            [name for name, free in at_work.free_at.items() if free < at and name[0] == "C"] or ["C0"]
        )
        if number < jobs:
            at_work.free_at[f"C{number % clients}"] = -100.0
            at_work.call(at, f"P{number}", "enqueue").job = f"J{number + 1}"
            at_work.jobs[f"J{number + 1}"] = ["pending", None, 0]
        elif number % 40 == 0:
            at_work.reclaim(at)
        elif client in at_work.held:
            at_work.go_on(at, client)
        else:
            at_work.take(at, client)
    return at_work.calls


def double(calls: list[Played]) -> str:
    """Plant a second claim of a job just after an accepted one, in the middle of it all; the job's name."""
    claims = [call for call in calls if call.operation == "claim" and call.status is Status.OK]
    first = claims[len(claims) // 2]
    assert first.job is not None
    second = Played(
        number=len(calls) + 1,
        client="X",
        operation="claim",
        begins=first.ends + 0.001,
        ends=first.ends + 0.002,
        job=first.job,
    )
    calls.append(second)
    return first.job


def impossible(claims: int) -> list[Played]:
    """Claims of one job all at once, and one reclaim too few: right or wrong, nobody knows before all is tried."""
    calls = [Played(number=1, client="P", operation="enqueue", begins=0.0, ends=0.5, job="J1")]
    for number in range(2, 2 + claims):
        calls.append(
            Played(number=number, client=f"C{number}", operation="claim", begins=1.0, ends=10.0 + number, job="J1")
        )
    for number in range(2 + claims, 2 * claims):
        calls.append(Played(number=number, client=f"M{number}", operation="reclaim", begins=1.0, ends=100.0 + number))
    return calls
