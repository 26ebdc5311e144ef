"""The vocabulary of the rules: who could do what now, and how a step is taken. Chooses nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from hypothesis.stateful import RuleBasedStateMachine, precondition

from pgqmodel.explore.strategy import View
from pgqmodel.machine.bridge import ask
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
"""Asked for the view of a world that was just reset."""
ENDS: Final = "a story ends"

_RACES = (
    *((each.name, each.name) for each in (CLAIM, LOCK, COMPLETE, FAIL, RETRY, DEPLOY, HEARTBEAT, LOG, UNLOCK)),
    (ENQUEUE.name, ENQUEUE.name),
    (RECLAIM.name, RECLAIM.name),
    (CANCEL.name, RECLAIM.name),
    (RECLAIM.name, CANCEL.name),
)
"""What two clients can do at once: the first of a pair is halfway when the second is begun."""


class Vocabulary(RuleBasedStateMachine):
    """What the rules of a machine ask before they choose, and how they act on it."""

    operations: ClassVar[frozenset[str]] = frozenset(OPERATIONS)
    """The operations it uses, where the target has them."""
    faults: ClassVar[frozenset[str]] = frozenset(FAULTS)
    settles_late: ClassVar[bool] = True
    """Whether it also settles what is somebody else's by now."""

    enqueues_max: ClassVar[int] = 5

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
        """The clients for whom a kind of step is possible now."""
        return [c for c in self.world.clients.values() if kind(client=c.name).refuse(self.world) is None]

    def severable(self) -> list[Client]:
        """The clients whose end would change something: those that wait at the gate, and those that hold a job."""
        return [client for client in self.able(Cut) if client.call or client.belief]

    def crashable(self) -> list[Client]:
        """The workers among those."""
        return [client for client in self.severable() if client.role is Role.WORKER]

    def has(self, state: State) -> bool:
        """Whether some job is in a state, as last observed; one that waits is pending for those that try to claim."""
        states = UNHELD if state is State.PENDING else {state}
        return any(job.state in states for job in self.world.observer.jobs.values())

    def fresh(self, kind: type[Step], operation: str = "") -> bool:
        """Whether the last step was another one: some steps change nothing when they are taken twice."""
        last = self.view.taken[-1] if self.view.taken else None
        return not isinstance(last, kind) or (isinstance(last, Begin) and last.operation != operation)

    def settling(self) -> list[str]:
        """The settlements that some worker could begin now."""
        return [name for name in (COMPLETE.name, FAIL.name, RETRY.name) if self.can(name)]

    def raced(self) -> list[tuple[str, str]]:
        """The operations that two clients could begin now, and that may meet."""
        return [race for race in _RACES if self.may_race(*race)]

    def may_race(self, first: str, second: str) -> bool:
        """Whether there are two clients for a race, and something that both may get hold of."""
        if CLAIM.name in {first, second} and not self.claimable():
            return False
        if RECLAIM.name in {first, second} and not self.has(State.RUNNING):
            return False
        if first == ENQUEUE.name and self.world.enqueued + 2 > self.enqueues_max:
            return False
        return len(self.can(first)) > 1 if first == second else bool(self.can(first) and self.can(second))

    def claimable(self) -> bool:
        """Whether a claim may find something: where nothing reclaims, claims may take what has lapsed."""
        return self.has(State.PENDING) or (RECLAIM.name not in self.world.target.operations and self.has(State.RUNNING))

    def outdated(self) -> list[Client]:
        """The clients whose job is somebody else's by now, or nobody's."""
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
        """Whether the clock may be moved: a deadlock would be found first."""
        return "stall" in self.faults and Advance(seconds=1.0).refuse(self.world) is None

    def moments(self) -> list[float]:
        """How long it is until just after, at, and just before each deadline that is known, in seconds."""
        leases = {job: claim.beat for job, claim in self.view.judge.state.current.items()}
        known = deadlines(self.world.observer.jobs.values(), leases, self.world.target.settings)
        return waits(known, self.world.now)

    def delay(self) -> float:
        """How long it is until the first of the pending jobs is due, with a margin; 0 where one is due already."""
        pending = [job for job in self.world.observer.jobs.values() if job.state is State.PENDING]
        waiting = waits(deadlines(pending, {}, {}), self.world.now)
        due = any(job.eligible_at is None or job.eligible_at <= self.world.now for job in pending)
        return waiting[0] if waiting and not due else 0.0

    def lock_holders(self) -> list[Client]:
        """The clients that are doing nothing and believe to hold a deploy lock."""
        return [c for c in self.world.clients.values() if c.idle and c.belief and c.belief.locked]

    def twinnable(self) -> list[Client]:
        """The workers that hold something and have no twin; one twin a story is enough."""
        names = [client.worker for client in self.world.clients.values()]
        if len(names) != len(set(names)):
            return []
        return [client for client in self.able(Twin) if client.belief is not None]

    def highest_stage(self, run: str) -> int:
        """The stage that a run has come to: stages are enqueued in their order, as a pipeline does."""
        return max((job.stage or 0 for job in self.world.observer.jobs.values() if job.run == run), default=0)

    def take(self, step: Step) -> None:
        """One step into the story."""
        ask(step)

    def begin(self, operation: str, choice: int, stop: int, **arguments: Any) -> None:
        """One client's operation, up to its `stop`."""
        able = self.can(operation)
        client = pick(able, choice)
        if operation == HEARTBEAT.name and len(client.held) > 1:
            arguments = {"job": pick(client.held, choice // len(able)).job}
        self.take(Begin(client=client.name, operation=operation, stop=stop, arguments=arguments))


def when(test: Callable[[Any], Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule of a machine can be chosen only while the test, which is given the machine, is true."""
    return precondition(lambda self: bool(test(self)))
