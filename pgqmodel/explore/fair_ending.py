"""The fair ending: it brings a story to its end, so that promises about "eventually" can be judged.

Faults stop, everything is connected again, every client gets its turn, and time moves on; workers settle what they
hold. It proposes steps and takes none. Bounded: a queue that needs more rounds than its jobs can explain is stuck.

Only the jobs that exist when it begins count. In some queues each job that ends adds the next one, for ever. Such a
queue never comes to an end and is not stuck.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from pgqmodel.history import Invoked, Job
from pgqmodel.horizon import HORIZON_SECONDS
from pgqmodel.operations import ABSENT, CLAIM, COMPLETE, FAIL, FINAL, RECLAIM, UNLOCK, Operation, Role
from pgqmodel.steps import Advance, Begin, Connect, Deadlock, Drain, Go, Step, can_begin
from pgqmodel.world.client import Client
from pgqmodel.world.deadlines import deadlines, lease_seconds
from pgqmodel.world.world import World

__all__ = ["IDLE_ROUNDS_MAX", "drain", "finish_calls"]

IDLE_ROUNDS_MAX = 4
"""After more rounds than this without progress the queue counts as stuck; each waits longer than the one before."""
LONGEST_WAIT_SECONDS = 86_400.0
"""The longest wait of a round for delays that the target does not show; a longer lease counts instead."""


def drain(world: World, poison: str | None = None) -> Iterator[Step]:
    """The steps of a drain. The caller takes each before it asks for the next. The first and the last are marks."""
    yield Drain(poison=poison)
    yield from finish_calls(world)
    idle_rounds = 0
    awaited = world.observer.jobs.keys() - {poison}
    for _ in range(_rounds_max(world)):
        if _all_final(world, awaited) or idle_rounds > IDLE_ROUNDS_MAX:
            break
        before = _those(world, awaited)
        yield from _round(world, poison)
        if _those(world, awaited) == before:
            idle_rounds += 1
            yield from _pass_time(world, idle_rounds)
        else:
            idle_rounds = 0
    yield Drain(poison=poison, over=True)


def _rounds_max(world: World) -> int:
    attempts = world.target.settings.get("max_attempts") or 2
    return 8 + 3 * max(world.enqueued, len(world.observer.jobs)) * int(attempts)


def _those(world: World, awaited: AbstractSet[str]) -> dict[str, Job]:
    """The jobs that count, as observed. The poison job does not count: to fail once more is no progress."""
    return {name: job for name, job in world.observer.jobs.items() if name in awaited}


def _all_final(world: World, awaited: AbstractSet[str]) -> bool:
    return all(job.state in FINAL for job in _those(world, awaited).values())


def finish_calls(world: World) -> Iterator[Step]:
    """Let every call in flight end, break deadlocks, and connect the clients that have no connection."""
    for _ in range(100):
        waiting = world.waiting()
        if world.deadlocked():
            yield Deadlock(client=world.victims()[0].name)
        elif waiting:
            yield Go(client=waiting[0].name)
        else:
            break
    for client in list(world.clients.values()):
        if client.connection is None and client.name not in world.actors:
            yield Connect(client=client.name)


def _round(world: World, poison: str | None) -> Iterator[Step]:
    """One round: the target's own maintenance runs; each worker claims, unless it holds a job, and settles its jobs.

    The target says whether a worker unlocks before or after a settlement, so at most one of the two unlocks can begin.
    """
    for operation in world.target.maintenance:
        for client in world.idle(Role.MAINTENANCE)[:1]:
            if not _only_adds(world.target.kinds[operation]):
                yield from _begin(world, client, operation)
                yield from finish_calls(world)
    for client in world.idle(Role.WORKER):
        if client.belief is None:
            yield from _begin(world, client, CLAIM.name)
        for _ in range(len(client.held)):
            yield from _begin(world, client, UNLOCK.name)
            yield from _begin(world, client, _settlement(world, client, poison))
            yield from _begin(world, client, UNLOCK.name)
        yield from finish_calls(world)


def _only_adds(operation: Operation) -> bool:
    """Whether an operation only adds jobs, such as a tick of a scheduler, and so does nothing for the present ones."""
    return bool(operation.moves) and all(move.before is ABSENT for move in operation.moves)


def _settlement(world: World, client: Client, poison: str | None) -> str:
    if client.belief is not None and client.belief.goes_on_with:
        return min(client.belief.goes_on_with)
    failing = client.belief is not None and client.belief.job == poison
    wanted = (FAIL, COMPLETE) if failing else (COMPLETE, FAIL)
    return next(one.name for one in wanted if one.name in world.target.operations)


def _begin(world: World, client: Client, operation: str) -> Iterator[Step]:
    if operation in world.target.operations and can_begin(client, operation):
        yield Begin(client=client.name, operation=operation)


def _pass_time(world: World, idle_rounds: int) -> Iterator[Step]:
    """No client could do anything: time passes until leases lapse or jobs become due, then maintenance reclaims.

    Every client has just had a turn, so no lease begins later than now, and a second after the last deadline a reclaim
    has its fair chance. If it leaves a job whose lease has lapsed, the judge notes that. Further rounds wait longer,
    for delays that the target does not show, such as a backoff.
    """
    settings, now = world.target.settings, world.now
    jobs = world.observer.jobs
    lease = lease_seconds(settings)
    longer = min(lease * 2 ** (idle_rounds - 1), max(lease, LONGEST_WAIT_SECONDS))
    known = deadlines(jobs.values(), dict.fromkeys(jobs, now), settings)
    last = max((moment for moment in known if moment - now <= HORIZON_SECONDS), default=now)
    yield Advance(seconds=math.ceil(round(max(longer, last - now), 6)) + 1.0)
    for client in _reclaiming(world):
        before = world.observer.jobs
        yield from _begin(world, client, RECLAIM.name)
        yield from finish_calls(world)
        if world.observer.jobs != before:
            break


def _reclaiming(world: World) -> list[Client]:
    """The maintenance clients that reclaim: the first one, and all that took part in the story.

    In some queues one maintenance client leads and holds a lock of its session. The leader must get its turn.
    """
    acted = {event.client for event in world.history if isinstance(event, Invoked)}
    idle = world.idle(RECLAIM.role) if RECLAIM.name in world.target.operations else []
    return [client for client in idle if client is idle[0] or client.name in acted]
