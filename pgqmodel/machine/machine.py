"""The stateful machine: Hypothesis chooses what happens next, rule by rule. Nothing here judges or touches the world.

Choices are listed simplest first: `stop=0` runs an operation to its end, the first client is the one that shrinking
prefers. A catalogue narrows the rules down with `only`, and sets what enqueues draw from.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pgqmodel.machine.bridge import wait
from pgqmodel.machine.run import AnomalyFound, Run
from pgqmodel.operations import LIVE, OPERATIONS, Role, State
from pgqmodel.steps import Action, Fate, Step
from pgqmodel.world.client import Client

__all__ = ["FAULTS", "Machine"]

T = TypeVar("T")
PICK = st.integers(0, 11)
STOP = st.sampled_from((0, 0, 0, 0, 2, 2, 1, 3, 4))
FATE = st.sampled_from((Fate.BEFORE, Fate.AFTER))
ENQUEUES_MAX = 6
FAULTS = ("cut", "crash", "stall", "twin", "restart")
"""What `--faults` names. `stall` is time that moves while somebody holds a job."""
_RESTART_ODDS = 60


def _when(test: Callable[[Machine], Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return precondition(lambda self: bool(test(self)))


def _pick(options: Sequence[T], choice: int) -> T:
    return options[choice % len(options)]


class Machine(RuleBasedStateMachine):
    """The general machine: every rule of every operation that the target has, and every fault that is switched on."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """The operations without which this machine has nothing to say."""
    operations: ClassVar[frozenset[str]] = frozenset(OPERATIONS)
    """The operations it uses, where the target has them."""
    faults: ClassVar[frozenset[str]] = frozenset(FAULTS)
    priorities: ClassVar[Sequence[int]] = (0, 1, 2)
    stages: ClassVar[Sequence[int]] = (1, 2)
    environments: ClassVar[Sequence[str | None]] = (None, "prod")
    runs: ClassVar[Sequence[str | None]] = (None, "r1", "r1")
    keys: ClassVar[Sequence[str | None]] = (None, "k", None)
    start: ClassVar[Callable[[], Run]]
    """Gives a run in a fresh world; whoever runs the machine sets it."""
    finish: ClassVar[Callable[[Run], None]] = staticmethod(lambda run: None)
    """Is told of every run that came to its end."""
    found: ClassVar[Callable[[AnomalyFound], BaseException]] = staticmethod(lambda anomaly: anomaly)
    """What an anomaly is raised as."""

    def __init__(self) -> None:
        super().__init__()
        self.run = self.start()
        self.world = self.run.world
        self.restarts_left = 0

    # -- the vocabulary of preconditions ---------------------------------------------------------------------------

    def can(self, operation: str) -> list[Client]:
        """The clients that could begin an operation now."""
        if operation not in self.world.target.operations or operation not in self.operations:
            return []
        return [client for client in self.world.clients.values() if client.idle and client.lacks(operation) is None]

    def severable(self) -> list[Client]:
        """The clients whose connection can be cut: idle ones and those that wait at the gate."""
        waiting = self.world.waiting()
        return [
            client
            for client in self.world.clients.values()
            if client.connection is not None and (client.call is None or client in waiting)
        ]

    def crashable(self) -> list[Client]:
        """The workers among those."""
        return [client for client in self.severable() if client.role is Role.WORKER]

    def take(self, action: Action, client: Client | None = None, **fields: Any) -> None:
        """One step into the run."""
        self._wait(self.run.take(Step(action=action, client=client.name if client else "", **fields)))

    def _wait(self, progress: Awaitable[None]) -> None:
        try:
            wait(progress)
        except AnomalyFound as anomaly:
            raise self.found(anomaly) from anomaly

    def begin(self, operation: str, choice: int, stop: int, **arguments: Any) -> None:
        """One client's operation, up to its `stop`."""
        client = _pick(self.can(operation), choice)
        self.take(Action.BEGIN, client, operation=operation, stop=stop, arguments=arguments)

    # -- operations ------------------------------------------------------------------------------------------------

    @initialize(odds=st.integers(0, _RESTART_ODDS))
    def allow_restart(self, odds: int) -> None:
        """A restart costs a hundred schedules' time: few stories have one."""
        self.restarts_left = int(odds == _RESTART_ODDS and "restart" in self.faults and self.world.server.can_crash)

    @_when(lambda self: self.world.enqueued < ENQUEUES_MAX and self.can("enqueue"))
    @rule(stop=STOP, priority=PICK, keyed=PICK, run=PICK, stage=PICK, environment=PICK)
    def enqueue(self, stop: int, priority: int, keyed: int, run: int, stage: int, environment: int) -> None:
        """A producer adds a job; only what the target's enqueue takes is drawn."""
        taken = self.world.target.operations["enqueue"].parameters
        in_run = _pick(self.runs, run)
        drawn: dict[str, Any] = {
            "priority": _pick(self.priorities, priority),
            "unique_key": _pick(self.keys, keyed),
            "run": in_run,
            "stage": max(_pick(self.stages, stage), self.highest_stage()) if in_run else None,
            "environment": _pick(self.environments, environment),
        }
        arguments = {name: value for name, value in drawn.items() if name in taken and value is not None}
        self.begin("enqueue", 0, stop, **arguments)

    def highest_stage(self) -> int:
        """The stage that the run has come to: stages are enqueued in their order, as a pipeline does."""
        return max((job.stage or 0 for job in self.world.observer.jobs.values()), default=0)

    @_when(lambda self: self.can("claim"))
    @rule(who=PICK, stop=STOP)
    def claim(self, who: int, stop: int) -> None:
        """A worker claims."""
        self.begin("claim", who, stop)

    @_when(lambda self: self.can("heartbeat"))
    @rule(who=PICK, stop=STOP)
    def heartbeat(self, who: int, stop: int) -> None:
        """A worker beats for the job it believes to hold."""
        self.begin("heartbeat", who, stop)

    @_when(lambda self: self.can("complete") or self.can("fail"))
    @rule(who=PICK, how=PICK, stop=STOP)
    def settle(self, who: int, how: int, stop: int) -> None:
        """A worker settles the job it believes to hold."""
        operations = [name for name in ("complete", "fail", "retry") if self.can(name)]
        self.begin(_pick(operations, how), who, stop)

    @_when(lambda self: self.can("cancel") and self.world.observer.jobs)
    @rule(which=PICK, stop=STOP)
    def cancel(self, which: int, stop: int) -> None:
        """A producer cancels a job, in whatever state it is."""
        self.begin("cancel", 0, stop, job=_pick(sorted(self.world.observer.jobs), which))

    @_when(lambda self: self.can("reclaim"))
    @rule(stop=STOP)
    def reclaim(self, stop: int) -> None:
        """Maintenance takes back the jobs of the silent."""
        self.begin("reclaim", 0, stop)

    @_when(lambda self: self.can("lock") or self.can("deploy"))
    @rule(who=PICK, how=PICK, stop=STOP)
    def deploy(self, who: int, how: int, stop: int) -> None:
        """A worker locks its environment, changes it, or unlocks it."""
        operations = [name for name in ("lock", "deploy", "unlock") if self.can(name)]
        self.begin(_pick(operations, how), who, stop)

    @_when(lambda self: self.can("log"))
    @rule(who=PICK, stop=STOP)
    def log(self, who: int, stop: int) -> None:
        """A worker writes a line for the job it believes to hold."""
        self.begin("log", who, stop)

    # -- scheduling, time and faults -------------------------------------------------------------------------------

    @_when(lambda self: self.world.waiting())
    @rule(who=PICK, stop=STOP)
    def release(self, who: int, stop: int) -> None:
        """A client that waits at the gate goes on."""
        self.take(Action.GO, _pick(self.world.waiting(), who), stop=stop)

    @_when(lambda self: self.world.deadlocked())
    @rule(who=PICK)
    def detect_deadlock(self, who: int) -> None:
        """The deadlock detector fires for one of those in a cycle."""
        self.take(Action.DEADLOCK, _pick(self.world.deadlocked(), who))

    @_when(lambda self: "stall" in self.faults and self.world.enqueued)
    @rule(how=PICK)
    def advance(self, how: int) -> None:
        """Time moves: past a lease, to half of one, or a second; or to the moment a job becomes due."""
        timeout = float(self.world.target.settings.get("heartbeat_timeout_seconds") or 30)
        choices = [timeout + 1, timeout + 1, timeout // 2 + 1, 1.0, *self.due()]
        self.take(Action.ADVANCE, seconds=_pick(choices, how))

    def due(self) -> list[float]:
        """How long it is until a delayed job may be claimed, for each of them."""
        waiting = (job for job in self.world.observer.jobs.values() if job.state is State.PENDING)
        ahead = (job.eligible_at - self.world.now for job in waiting if job.eligible_at is not None)
        return sorted(float(round(seconds + 0.5)) for seconds in ahead if seconds > 0)

    @_when(lambda self: "cut" in self.faults and self.world.enqueued and self.severable())
    @rule(who=PICK, fate=FATE)
    def cut(self, who: int, fate: Fate) -> None:
        """A connection is cut; the client lives on."""
        client = _pick(self.severable(), who)
        self.take(Action.CUT, client, fate=fate if client.call else Fate.BEFORE)

    @_when(lambda self: "crash" in self.faults and self.world.enqueued and self.crashable())
    @rule(who=PICK, fate=FATE)
    def crash(self, who: int, fate: Fate) -> None:
        """A worker dies, and is started again under its old name."""
        client = _pick(self.crashable(), who)
        self.take(Action.CRASH, client, fate=fate if client.call else Fate.BEFORE)

    @_when(lambda self: "twin" in self.faults and self.twinnable())
    @rule(who=PICK)
    def twin(self, who: int) -> None:
        """A worker that was only slow is started a second time under the same name."""
        self.take(Action.TWIN, _pick(self.twinnable(), who))

    def twinnable(self) -> list[Client]:
        """The workers that hold something and have no twin; one twin a story is enough."""
        names = [client.worker for client in self.world.clients.values()]
        if len(names) != len(set(names)):
            return []
        return [client for client in self.world.clients.values() if client.belief is not None]

    @_when(lambda self: any(client.connection is None for client in self.world.clients.values()))
    @rule(who=PICK)
    def reconnect(self, who: int) -> None:
        """A client that was cut off connects again."""
        self.take(Action.CONNECT, _pick([c for c in self.world.clients.values() if c.connection is None], who))

    @_when(lambda self: self.restarts_left and self.world.enqueued)
    @rule()
    def restart(self) -> None:
        """The server is killed and recovers."""
        self.restarts_left -= 1
        self.take(Action.RESTART)

    # -- the end ---------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Every story ends in a drain, some with a job that always fails; one that was broken off has no end."""
        if sys.exc_info()[0] is None:
            self._wait(self.run.drain(self.poison()))
            self.finish(self.run)

    def poison(self) -> str | None:
        """The job that fails in the drain: the first live one, in every other story of a queue that promises it."""
        promised = "poison-isolated" in self.world.target.promises and "fail" in self.world.target.operations
        live = sorted(name for name, job in self.world.observer.jobs.items() if job.state in LIVE)
        return live[0] if promised and len(live) > 1 and len(self.run.taken) % 2 else None
