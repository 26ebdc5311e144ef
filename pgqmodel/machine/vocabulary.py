"""The vocabulary of the rules: which clients could begin which operations, and how a step is taken. Chooses nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from hypothesis.stateful import RuleBasedStateMachine, precondition

from pgqmodel.bridge import ask
from pgqmodel.explore.strategy import View
from pgqmodel.machine.drawing import FAULTS, pick
from pgqmodel.operations import (
    CANCEL,
    CLAIM,
    COMPLETE,
    DEPLOY,
    ENQUEUE,
    FAIL,
    HEARTBEAT,
    LOCK,
    LOG,
    OPERATIONS,
    RECLAIM,
    RETRY,
    SETTLEMENTS,
    UNHELD,
    UNLOCK,
    Role,
    State,
)
from pgqmodel.steps import Advance, Begin, Cut, Step, Twin, can_begin
from pgqmodel.world.client import Client
from pgqmodel.world.deadlines import deadlines, waits

__all__ = ["BEGINS", "ENDS", "Vocabulary", "when"]

BEGINS: Final = "a story begins"
"""The machine's question at the begin of a story; the answer is the view of a world that was just reset."""
ENDS: Final = "a story ends"

_RACES = (
    *((each.name, each.name) for each in (CLAIM, LOCK, COMPLETE, FAIL, RETRY, DEPLOY, HEARTBEAT, LOG, UNLOCK)),
    (ENQUEUE.name, ENQUEUE.name),
    (RECLAIM.name, RECLAIM.name),
    (CANCEL.name, RECLAIM.name),
    (RECLAIM.name, CANCEL.name),
)
"""The pairs of operations that can race: the first one is halfway when the second one begins."""


class Vocabulary(RuleBasedStateMachine):
    """The questions that a machine's rules ask before they choose, and the ways in which they act."""

    operations: ClassVar[frozenset[str]] = frozenset(OPERATIONS)
    """The operations that the machine uses, if the target has them."""
    faults: ClassVar[frozenset[str]] = frozenset(FAULTS)
    settles_late: ClassVar[bool] = True
    """Whether workers also settle jobs that another worker holds by now."""

    enqueues_max: ClassVar[int] = 5
    priorities: ClassVar[Sequence[int]] = (0, 1, 2)
    stages: ClassVar[Sequence[int]] = (1, 2)
    environments: ClassVar[Sequence[str | None]] = (None, *["prod"] * 4, "staging")
    runs: ClassVar[Sequence[str | None]] = (None, *["r1"] * 4, "r2")
    keys: ClassVar[Sequence[str | None]] = (None, "k", "k", "l")
    payloads: ClassVar[Sequence[str | None]] = (None, None, '{"n": 1}', '{"n": 2}')

    def __init__(self) -> None:
        super().__init__()
        self.view: View = ask(BEGINS)
        self.world = self.view.world

    def can(self, operation: str) -> list[Client]:
        """The clients that could begin an operation now."""
        if not self.uses(operation):
            return []
        late = self.outdated() if operation in SETTLEMENTS and not self.settles_late else ()
        return [c for c in self.world.clients.values() if can_begin(c, operation) and c not in late]

    def uses(self, operation: str) -> bool:
        """Whether the target has an operation, this machine wants it, and this story is not to leave it out."""
        wanted = operation in self.operations and operation not in self.view.avoided
        return wanted and operation in self.world.target.operations

    def able(self, kind: type[Step]) -> list[Client]:
        """The clients that could take a kind of step now."""
        return [c for c in self.world.clients.values() if kind(client=c.name).refuse(self.world) is None]

    def severable(self) -> list[Client]:
        """The clients that wait at the gate or hold a job: to cut their connection changes something."""
        return [client for client in self.able(Cut) if client.call or client.belief]

    def crashable(self) -> list[Client]:
        """The workers among the severable clients."""
        return [client for client in self.severable() if client.role is Role.WORKER]

    def has(self, state: State) -> bool:
        """Whether a job was in a state when last observed; a waiting job counts as pending, so that workers try."""
        states = UNHELD if state is State.PENDING else {state}
        return any(job.state in states for job in self.world.observer.jobs.values())

    def fresh(self, kind: type[Step], operation: str = "") -> bool:
        """Whether the last step was of another kind; some steps change nothing when they are taken twice."""
        last = self.view.taken[-1] if self.view.taken else None
        return not isinstance(last, kind) or (isinstance(last, Begin) and last.operation != operation)

    def settling(self) -> list[str]:
        """The settlements that a worker could begin now."""
        return [name for name in (COMPLETE.name, FAIL.name, RETRY.name) if self.can(name)]

    def raced(self) -> list[tuple[str, str]]:
        """The pairs of operations that two clients could begin now and that may meet."""
        return [race for race in _RACES if self.may_race(*race)]

    def may_race(self, first: str, second: str) -> bool:
        """Whether there are two clients for a race, and a job or lock that both may get."""
        if CLAIM.name in {first, second} and not self.claimable():
            return False
        if RECLAIM.name in {first, second} and not self.has(State.RUNNING):
            return False
        if first == ENQUEUE.name and self.world.enqueued + 2 > self.enqueues_max:
            return False
        return len(self.can(first)) > 1 if first == second else bool(self.can(first) and self.can(second))

    def claimable(self) -> bool:
        """Whether a claim may find a job. Without a reclaim, claims may take jobs whose leases have lapsed."""
        return self.has(State.PENDING) or (RECLAIM.name not in self.world.target.operations and self.has(State.RUNNING))

    def outdated(self) -> list[Client]:
        """The clients that believe to hold a job and do not hold it any more."""
        jobs = self.world.observer.jobs
        return [
            client
            for client in self.world.clients.values()
            if client.idle
            and client.belief
            and (
                (job := jobs.get(client.belief.job)) is None
                or job.state is not State.RUNNING
                or job.holder not in {None, client.worker}
            )
        ]

    def contended(self) -> list[str]:
        """The jobs of the calls that wait at the gate."""
        waiting = (client.call.job for client in self.world.waiting() if client.call and client.call.job)
        return [job for job in waiting if job in self.world.observer.jobs]

    def time_may_pass(self) -> bool:
        """Whether the clock may move. While there is a deadlock it may not, because its detector would fire first."""
        return "stall" in self.faults and Advance(seconds=1.0).refuse(self.world) is None

    def moments(self) -> list[float]:
        """For each known deadline, the seconds until just after it, until it, and until just before it."""
        leases = {job: claim.beat for job, claim in self.view.judge.state.current.items()}
        known = deadlines(self.world.observer.jobs.values(), leases, self.world.target.settings)
        return waits(known, self.world.now)

    def delay(self, state: State = State.PENDING) -> float:
        """The seconds until the first job of a state is due, with a margin; 0 if one is due already."""
        jobs = [job for job in self.world.observer.jobs.values() if job.state is state]
        waiting = waits(deadlines(jobs, {}, {}), self.world.now)
        due = any(job.eligible_at is None or job.eligible_at <= self.world.now for job in jobs)
        return waiting[0] if waiting and not due else 0.0

    def lock_holders(self) -> list[Client]:
        """The idle clients that believe to hold a deploy lock."""
        return [c for c in self.world.clients.values() if c.idle and c.belief and c.belief.locked]

    def twinnable(self) -> list[Client]:
        """The workers that hold a job and have no twin; one twin in a story is enough."""
        names = [client.worker for client in self.world.clients.values()]
        if len(names) != len(set(names)):
            return []
        return [client for client in self.able(Twin) if client.belief is not None]

    def highest_stage(self, run: str) -> int:
        """The highest stage of a run so far: stages are enqueued in their order, as a pipeline does."""
        return max((job.stage or 0 for job in self.world.observer.jobs.values() if job.run == run), default=0)

    def enqueue_one(self, stop: int, drawn: tuple[int, ...]) -> None:
        """Begin an enqueue."""
        self.begin(ENQUEUE.name, 0, stop, **self.new_job(drawn, self.keys))

    def new_job(self, drawn: tuple[int, ...], keys: Sequence[str | None]) -> dict[str, Any]:
        """The arguments of an enqueue; only those that the target's statement takes."""
        taken = self.world.target.operations[ENQUEUE.name].parameters
        priority, key, run, stage, environment, payload = drawn
        in_run = pick(self.runs, run)
        fields: dict[str, Any] = {
            "priority": pick(self.priorities, priority),
            "unique_key": pick(keys, key),
            "run": in_run,
            "stage": max(pick(self.stages, stage), self.highest_stage(in_run)) if in_run else None,
            "environment": pick(self.environments, environment),
            "payload": pick(self.payloads, payload),
        }
        return {name: value for name, value in fields.items() if name in taken and value is not None}

    def take(self, step: Step) -> None:
        """Take one step."""
        ask(step)

    def begin(self, operation: str, choice: int, stop: int, **arguments: Any) -> None:
        """Begin an operation of one client, and run it up to its `stop`."""
        able = self.can(operation)
        client = pick(able, choice)
        if operation == HEARTBEAT.name and len(client.held) > 1:
            arguments = {"job": pick(client.held, choice // len(able)).job}
        self.take(Begin(client=client.name, operation=operation, stop=stop, arguments=arguments))


def when(test: Callable[[Any], Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a rule be chosen only while `test` is true for the machine."""
    return precondition(lambda self: bool(test(self)))
