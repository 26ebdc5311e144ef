"""Recorded histories of any length, right by construction: clients that really overlap, pipelines, beats, deploy locks.

A small queue in memory plays the database. A call begins, commits at some later instant and is answered later still;
what it does happens at its commit, and what it locks it has locked from its beginning. Nothing here judges.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, evolve, field

from pgqmodel.history import Committed, Connected, Draining, Ended, Event, Invoked, Job, Judged, Observed, Returned
from pgqmodel.operations import State, Status

__all__ = ["PROMISES", "SETTINGS", "history"]

ORDER = (("priority", "desc"), ("id", "asc"))
PROMISES: dict[str, Any] = {
    **dict.fromkeys(
        (
            "exclusive-claim",
            "fenced-settlement",
            "fenced-heartbeat",
            "no-lost-job",
            "no-phantom-job",
            "final-states",
            "claim-complete",
            "stage-order",
            "one-deploy",
            "fenced-deploy",
            "lock-release",
            "lease",
            "recovery",
            "attempts",
            "unique-key",
            "run-status",
        ),
        True,
    ),
    "claim-order": ORDER,
}
SETTINGS = {"heartbeat_timeout_seconds": 30, "max_attempts": 3}
EPOCH = 1_700_000_000.0
STALLS = 0.004
DEATHS = 0.002
STAGES = (3, 3, 1)
"""How many jobs each stage of a pipeline has; the last one deploys."""


@define(eq=False)
class _Worker:
    """One worker: what it holds, and what it will do with it."""

    name: str
    client: str
    claim: int = 0
    job: str | None = None
    plan: list[str] = field(factory=list)


class _Queue:
    """The database that there is not, and the record of it."""

    def __init__(self, events: int, seed: int, workers: int) -> None:
        self.random = random.Random(seed)
        self.most = events
        self.now = EPOCH
        self.step = 0
        self.calls = 0
        self.jobs: dict[str, Job] = {}
        self.runs: dict[str, list[str]] = {}
        self.ready: list[tuple[int, int, str]] = []
        self.locked: set[str] = set()
        self.held: dict[str, tuple[str, int]] = {}
        self.beats: dict[str, float] = {}
        self.claims: dict[str, int] = {}
        self.running: set[str] = set()
        self.agenda: list[tuple[float, int, Callable[[], Iterator[Event]]]] = []
        self.planned = 0
        self.deaths = 0
        self.next_job = 0
        self.next_run = 0
        self.keyed: set[str] = set()
        self.workers = [_Worker(name=f"w{number}", client=f"w{number}.1") for number in range(1, workers + 1)]

    # -- time ------------------------------------------------------------------------------------------------------

    def later(self, seconds: float, act: Callable[[], Iterator[Event]]) -> None:
        """Do something after a while."""
        self.planned += 1
        heapq.heappush(self.agenda, (self.now + seconds, self.planned, act))

    def run(self) -> Iterator[Event]:
        """Everything that happens."""
        yield Judged(step=self.count(), at=self.now, target="made-up", promises=PROMISES, settings=SETTINGS)
        for worker in self.workers:
            yield Connected(step=self.count(), at=self.now, client=worker.client, worker=worker.name)
            self.later(self.random.random(), lambda worker=worker: self.work(worker))
        self.later(0.0, self.produce)
        self.later(1.0, self.tend)
        while self.agenda:
            self.now, _, act = heapq.heappop(self.agenda)
            yield from act()
        yield Draining(step=self.count(), at=self.now, over=True)

    def count(self) -> int:
        """The next place in the record."""
        self.step += 1
        return self.step

    @property
    def is_over(self) -> bool:
        """Whether nothing new is to begin."""
        return self.step >= self.most

    # -- calls -----------------------------------------------------------------------------------------------------

    def call(
        self,
        client: str,
        worker: str,
        operation: str,
        act: Callable[[int], tuple[Status, dict[str, Job], str | None]],
        then: Callable[[int, Status, str | None], Iterator[Event]],
        dies: bool = False,
        **about: Any,
    ) -> Iterator[Event]:
        """One operation: it begins now, commits in a moment, is answered a moment later; then its client goes on.

        If its client `dies`, the commit is there and nobody claims it.
        """
        self.calls += 1
        number = self.calls
        yield Invoked(
            step=self.count(), at=self.now, client=client, worker=worker, call=number, operation=operation, **about
        )

        def commit() -> Iterator[Event]:
            status, changed, job = act(number)
            if changed or operation in {"heartbeat", "deploy", "lock", "unlock"}:
                if dies:
                    yield Ended(step=self.count(), at=self.now, client=client, crashed=True)
                else:
                    yield Committed(step=self.count(), at=self.now, client=client, call=number)
                self.jobs.update(changed)
                runs = {job.run: self.status(job.run) for job in changed.values() if job.run is not None}
                yield Observed(step=self.count(), at=self.now, by=() if dies else (number,), jobs=changed, runs=runs)
            transaction = 1000 + number if changed else None

            def answer() -> Iterator[Event]:
                yield Returned(
                    step=self.count(),
                    at=self.now,
                    client=client,
                    call=number,
                    status=status,
                    job=job,
                    transaction=transaction,
                )
                yield from then(number, status, job)

            if dies:
                yield from then(number, Status.UNKNOWN, None)
            else:
                self.later(0.0005 + self.random.random() * 0.002, answer)

        self.later(0.0005 + self.random.random() * 0.004, commit)

    def status(self, run: str) -> State:
        """The status of a run."""
        states = {self.jobs[name].state for name in self.runs[run]}
        if len(states) == 1 and states <= {State.PENDING, State.COMPLETED}:
            return states.pop()
        if states & {State.PENDING, State.RUNNING}:
            return State.RUNNING
        return State.FAILED if State.FAILED in states else State.CANCELLED

    # -- the producer and the one who tends ------------------------------------------------------------------------

    def produce(self) -> Iterator[Event]:
        """Enqueue a pipeline or a single job, and go on."""
        if self.is_over:
            yield Draining(step=self.count(), at=self.now)
            return

        def then(number: int, status: Status, job: str | None) -> Iterator[Event]:
            backlog = len(self.ready)
            self.later(self.random.random() * (0.3 if backlog < 2 * len(self.workers) else 5.0), self.produce)
            return iter(())

        key = f"key {self.calls}" if self.random.random() < 0.05 else None
        again = key is not None and self.keyed and self.random.random() < 0.5
        if again:
            key = min(self.keyed)
        yield from self.call(
            "p1.1",
            "p1",
            "enqueue",
            lambda number: self.enqueue(key),
            then,
            arguments={"unique_key": key} if key is not None else {"jobs": sum(STAGES)},
        )

    def enqueue(self, key: str | None) -> tuple[Status, dict[str, Job], str | None]:
        """Add a pipeline, or a job with a key if no live one has it."""
        if key is not None:
            if key in self.keyed:
                return Status.REFUSED, {}, None
            self.keyed.add(key)
            job = self.add(unique_key=key)
            self.offer(job)
            return Status.OK, {job.job: job}, job.job
        self.next_run += 1
        run = f"r{self.next_run}"
        self.runs[run] = []
        added = {}
        for stage, width in enumerate(STAGES, 1):
            for _ in range(width):
                last = stage == len(STAGES)
                job = self.add(run=run, stage=stage, environment=f"env {self.next_run % 5}" if last else None)
                added[job.job] = job
                self.runs[run].append(job.job)
                if stage == 1:
                    self.offer(job)
        return Status.OK, added, None

    def add(self, **columns: Any) -> Job:
        """A new job."""
        self.next_job += 1
        name, priority = str(self.next_job), self.random.choice((0, 0, 0, 5))
        order = {"priority": priority, "id": self.next_job}
        job = Job(job=name, state=State.PENDING, attempt=0, priority=priority, order=order, **columns)
        self.jobs[name] = job
        return job

    def offer(self, job: Job) -> None:
        """A job may be claimed by statements that begin from now on."""
        heapq.heappush(self.ready, (-(job.priority or 0), int(job.job), job.job))

    def tend(self) -> Iterator[Event]:
        """Take back what is silent, and go on."""
        if self.is_over and not self.running and not self.ready:
            return

        def then(number: int, status: Status, job: str | None) -> Iterator[Event]:
            self.later(5.0, self.tend)
            return iter(())

        yield from self.call("m1.1", "m1", "reclaim", self.reclaim, then)

    def reclaim(self, number: int) -> tuple[Status, dict[str, Job], str | None]:
        """Give back what has been silent for too long."""
        changed = {}
        for name in sorted(self.running):
            if self.now - self.beats[name] > float(SETTINGS["heartbeat_timeout_seconds"]) + 0.1:
                job = evolve(self.jobs[name], state=State.PENDING, holder=None)
                changed[name] = job
                self.running.discard(name)
                self.offer(job)
        return Status.OK, changed, None

    # -- workers ---------------------------------------------------------------------------------------------------

    def work(self, worker: _Worker) -> Iterator[Event]:
        """Claim something and do it, beat by beat; or look again later."""
        if self.is_over and not self.ready and not self.running:
            return
        found = heapq.heappop(self.ready)[2] if self.ready else None

        def act(number: int) -> tuple[Status, dict[str, Job], str | None]:
            if found is None:
                return Status.EMPTY, {}, None
            job = self.jobs[found]
            job = evolve(job, state=State.RUNNING, holder=worker.name, attempt=(job.attempt or 0) + 1)
            self.claims[found] = number
            self.running.add(found)
            self.beats[found] = self.now
            return Status.OK, {found: job}, found

        def then(number: int, status: Status, job: str | None) -> Iterator[Event]:
            if status is Status.UNKNOWN:
                self.deaths += 1
                worker.client = f"{worker.name}.{self.deaths + 1}"
                yield Connected(step=self.count(), at=self.now, client=worker.client, worker=worker.name)
            if job is None:
                self.later(0.05 + self.random.random() * 0.5, lambda: self.work(worker))
                return
            worker.claim, worker.job = number, job
            environment = self.jobs[job].environment
            worker.plan = ["lock", "deploy", "unlock"] if environment is not None else ["heartbeat"]
            self.later(40.0 if self.stalls() else self.random.random(), lambda: self.go_on(worker))

        dies = found is not None and not self.is_over and self.random.random() < DEATHS
        yield from self.call(worker.client, worker.name, "claim", act, then, dies=dies)

    def is_held(self, worker: _Worker) -> bool:
        """Whether a worker's claim is its job's current one."""
        name = worker.job or ""
        return self.claims.get(name) == worker.claim and name in self.running

    def stalls(self) -> bool:
        """Whether a worker stands still for longer than its lease."""
        return not self.is_over and self.random.random() < STALLS

    def go_on(self, worker: _Worker) -> Iterator[Event]:
        """The next thing that a holder does."""
        job = worker.job or ""
        step = worker.plan.pop(0) if worker.plan else "complete"
        environment = self.jobs[job].environment
        about: dict[str, Any] = {"job": job, "claim": worker.claim}
        if step in {"lock", "deploy", "unlock"}:
            about["arguments"] = {"environment": environment}

        def then(number: int, status: Status, _: str | None) -> Iterator[Event]:
            if step == "complete":
                worker.job = None
                self.later(self.random.random() * 0.005, lambda: self.work(worker))
                return
            if step == "lock" and status is Status.REFUSED and self.is_held(worker):
                worker.plan.insert(0, "lock")
            stalls = step != "unlock" and self.stalls()
            self.later(40.0 if stalls else self.random.random(), lambda: self.go_on(worker))
            yield from ()

        yield from self.call(
            worker.client, worker.name, step, lambda number: self.act(worker, step, environment), then, **about
        )

    def act(self, worker: _Worker, step: str, environment: str | None) -> tuple[Status, dict[str, Job], str | None]:
        """What an operation of a holder does at its commit."""
        name = worker.job or ""
        job = self.jobs[name]
        if not self.is_held(worker):
            return Status.REFUSED, {}, None
        if step == "heartbeat":
            self.beats[name] = self.now
        elif step == "lock" and environment is not None:
            holder, claim = self.held.get(environment, ("", 0))
            if self.claims.get(holder) == claim and holder in self.running:
                return Status.REFUSED, {}, None
            self.held[environment] = (name, worker.claim)
        elif step == "unlock" and environment is not None:
            self.held.pop(environment)
        elif step == "complete":
            self.running.discard(name)
            if job.unique_key is not None:
                self.keyed.discard(job.unique_key)
            done = evolve(job, state=State.COMPLETED, holder=None)
            self.jobs[name] = done
            self.open_stages(done)
            return Status.OK, {name: done}, None
        return Status.OK, {}, None

    def open_stages(self, done: Job) -> None:
        """Offer the next stage of a run whose stage is complete."""
        if done.run is None or done.stage is None:
            return
        jobs = [self.jobs[name] for name in self.runs[done.run]]
        if all(job.state is State.COMPLETED for job in jobs if job.stage == done.stage):
            for job in jobs:
                if job.stage == done.stage + 1:
                    self.offer(job)


def history(events: int, *, seed: int = 1, workers: int = 12) -> Iterator[Event]:
    """A right history of a little more than so many events."""
    return _Queue(events, seed, workers).run()
