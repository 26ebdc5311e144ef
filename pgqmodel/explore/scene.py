"""A scene: the jobs and the holders that an operation needs before it can be run. Made by running other operations.

Nothing here judges. What a queue does not do, such as handing out a job, is left undone: who asked for the scene sees
from the world what there is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from pgqmodel.operations import (
    CANCEL,
    CLAIM,
    COMPLETE,
    ENQUEUE,
    FAIL,
    LOCK,
    RECLAIM,
    UNHELD,
    Lease,
    Needs,
    Operation,
    Role,
    State,
)
from pgqmodel.steps import Advance, Begin, Connect, Cut, Step
from pgqmodel.world import World, perform, refusal
from pgqmodel.world.client import Client
from pgqmodel.world.deadlines import MARGIN_SECONDS, lease_seconds

__all__ = ["Scene"]

_JOBS = 3
"""So many jobs await a claim: enough to see whether it takes one or several."""
_FAILS_MAX = 5


@frozen(kw_only=True)
class Scene:
    """Makes scenes in a world. Two differ in `chance`, or in how many seconds `ahead` their time is, and in no more.

    `patience` is by how many seconds more than its lease a holder is silent.
    """

    world: World
    chance: int = 0
    ahead: float = 0.0
    patience: float = 0.0

    async def clear(self, *, clean: bool = False) -> None:
        """Back to the state after set-up."""
        self.world.chance = self.chance
        await self.world.reset(clean=clean)
        if self.ahead:
            await self.take(Advance(seconds=self.ahead))

    async def take(self, step: Step) -> bool:
        """Take a step if it can be taken; whether it was."""
        if refusal(self.world, step) is not None:
            return False
        await perform(self.world, step)
        return True

    def client(self, role: Role, number: int = 0) -> Client:
        """A client of some role."""
        return [client for client in self.world.clients.values() if client.role is role][number]

    def has(self, operation: str) -> bool:
        """Whether the target has an operation."""
        return operation in self.world.target.operations

    # -- before an operation ---------------------------------------------------------------------------------------

    async def prepare(self, operation: str) -> tuple[Client, dict[str, Any]]:
        """What an operation needs is there now, as far as the queue lets it be; its client, and its arguments."""
        kind = self.world.target.kinds[operation]
        client = self.client(kind.role)
        if kind.role is Role.MAINTENANCE:
            await self.one_of_each()
        elif operation == ENQUEUE.name:
            return client, self.brought(1)
        elif kind.role is Role.PRODUCER:
            await self.enqueue(1)
        elif kind.needs is Needs.NO_CLAIM:
            await self.enqueue(_JOBS)
        elif kind.holders:
            await self.hold(environment=kind.needs is not Needs.CLAIM)
            if kind.needs is Needs.LOCK:
                await self.take(Begin(client=client.name, operation=LOCK.name))
        about = next(iter(self.world.observer.jobs), None) if not kind.holders and "job" in kind.parameters else None
        return client, {"job": about} if about is not None else {}

    async def hold(self, *, environment: bool = False, number: int = 0) -> None:
        """A worker has a job, the first one where nothing else is said."""
        await self.enqueue(1, environment=environment)
        await self.claim(self.client(Role.WORKER, number))

    async def skip(self) -> None:
        """The first job has come and gone, so that no count is the number of the next one by chance."""
        await self.hold(number=1)
        for ending in (COMPLETE.name, FAIL.name):
            await self.take(Begin(client=self.client(Role.WORKER, 1).name, operation=ending))

    async def claim(self, client: Client) -> bool:
        """A worker claims; whether it has a job then."""
        await self.take(Begin(client=client.name, operation=CLAIM.name))
        return client.belief is not None

    async def enqueue(self, count: int, *, environment: bool = False) -> None:
        """So many jobs are there and may be claimed."""
        for _ in range(count):
            await self.add(environment=environment)
        await self.wait()

    async def add(self, *, environment: bool = False) -> None:
        """A producer adds a job."""
        arguments = self.brought(self.world.enqueued + 1, environment=environment)
        await self.take(Begin(client=self.client(Role.PRODUCER).name, operation=ENQUEUE.name, arguments=arguments))

    def brought(self, number: int, *, environment: bool = False) -> dict[str, Any]:
        """What an enqueue brings, of what its statements take."""
        taken = self.world.target.operations[ENQUEUE.name].parameters
        fields: dict[str, Any] = {
            "unique_key": f"key-{number}",
            "run": "r1",
            "stage": 1,
            "payload": f'{{"n": {number}}}',
            **({"environment": "prod"} if environment else {}),
        }
        return {name: value for name, value in fields.items() if name in taken}

    async def wait(self) -> None:
        """What is due later is due, and jobs that wait are promoted."""
        await self._be_due()
        if self.there(State.WAITING) and not self.there(State.PENDING):
            await self.maintain(promoting=True)
            await self._be_due()

    async def _be_due(self) -> None:
        """Time passes until no job that nobody holds is due later."""
        due = [job.eligible_at for job in self.world.observer.jobs.values() if job.state in UNHELD]
        late = [at for at in due if at is not None and math.isfinite(at) and at >= self.world.now]
        if late:
            await self.take(Advance(seconds=round(max(late) - self.world.now + MARGIN_SECONDS, 6)))

    def there(self, state: State) -> list[str]:
        """The jobs in a state."""
        return [name for name, job in self.world.observer.jobs.items() if job.state is state]

    # -- how a holder loses its job --------------------------------------------------------------------------------

    async def lapse(self, client: Client) -> None:
        """A holder's lease is over, whatever kind it is; the holder does not know."""
        target, now = self.world.target, self.world.now
        ends = [job.lease_until for job in self.world.observer.jobs.values() if job.lease_until is not None]
        last = max((at - now for at in ends if math.isfinite(at)), default=0.0)
        lease = max(last, lease_seconds(target.settings))
        await self.take(Advance(seconds=round(lease + 1 + self.patience, 6)))
        if Lease.SESSION in target.leases:
            await self.take(Cut(client=client.name))
            await self.take(Connect(client=client.name))

    async def maintain(self, *, promoting: bool = False) -> None:
        """Every maintenance operation runs once, or those alone that promote waiting jobs."""
        for name in (RECLAIM.name, *self.world.target.maintenance):
            if self.has(name) and (not promoting or _promotes(self.world.target.kinds[name])):
                await self.take(Begin(client=self.client(Role.MAINTENANCE).name, operation=name))

    async def one_of_each(self) -> None:
        """A job in every state that the queue can bring one to, and a holder whose lease is over."""
        worker, holder = self.client(Role.WORKER, 1), self.client(Role.WORKER)
        for ending in self._endings():
            await self.enqueue(1)
            for _ in range(_FAILS_MAX if ending == FAIL.name else 1):
                if not await self._end(worker, ending):
                    break
        await self.hold()
        await self.add()
        await self.lapse(holder)

    def _endings(self) -> Iterator[str]:
        """How jobs come to their ends; one that fails may fail again and again."""
        return (name for name in (COMPLETE.name, FAIL.name, CANCEL.name) if self.has(name))

    async def _end(self, worker: Client, ending: str) -> bool:
        """Bring the one job that may be claimed nearer to an end; whether there was one."""
        pending = self.there(State.PENDING)
        if not pending:
            return False
        if ending == CANCEL.name:
            step = Begin(client=self.client(Role.PRODUCER).name, operation=ending, arguments={"job": pending[0]})
            return await self.take(step)
        ended = await self.claim(worker) and await self.take(Begin(client=worker.name, operation=ending))
        await self.wait()
        return ended


def _promotes(kind: Operation) -> bool:
    return any(move.before is State.WAITING and move.after is State.PENDING for move in kind.moves)
