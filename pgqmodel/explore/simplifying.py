"""Schedules as values: the cost of a schedule, and the passes that make simpler candidates of it.

Hypothesis finds a failing schedule. The schedule is shrunk, not the choices that led to it; `shrinking` says why.
Delta debugging (Zeller and Hildebrandt 2002) takes out chunks, then single steps are simplified in place. Preemptions
go first (CHESS, Musuvathi and Qadeer 2007). A candidate counts only if it fails from the same cause and has no fault
that was switched off. Nothing here runs a schedule: `attempt` does.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeGuard

from attrs import evolve

from pgqmodel.cast import role_of
from pgqmodel.operations import CANCEL, CLAIM, COMPLETE, ENQUEUE, FAIL, HEARTBEAT, RETRY, Role
from pgqmodel.steps import KINDS, Advance, Begin, Connect, Crash, Cut, Deadlock, Fate, Go, Restart, Step, Twin
from pgqmodel.steps.cut import Severance

__all__ = ["ATTEMPTS_MAX", "choices", "cost", "shrink"]

ATTEMPTS_MAX = 1500

Schedule = tuple[Step, ...]
Attempt = Callable[[Schedule], Awaitable[Schedule | None]]
Cost = tuple[int, ...]


def choices(schedule: Sequence[Step]) -> int:
    """The size of a story: its steps beyond the enqueues (and the drain) that it needs."""
    return sum(step.is_choice for step in schedule)


def cost(schedule: Sequence[Step]) -> Cost:
    """The cost of a schedule, most important part first; a simpler schedule costs less."""
    switches = sum(one.client != other.client for one, other in itertools.pairwise(schedule))
    weights = [step.weight for step in schedule]
    return (
        choices(schedule),
        len(schedule),
        sum(weight.stop > 0 for weight in weights),
        sum(weight.severity for weight in weights),
        len({step.client for step in schedule}),
        sum(weight.options for weight in weights),
        sum(weight.stop for weight in weights),
        switches,
        sum(ord(step.client[0]) for step in schedule if step.client),
        sum(weight.detour for weight in weights),
        sum(_decimals(weight.seconds) for weight in weights),
        round(1000 * sum(weight.seconds for weight in weights)),
        sum(_enqueues(step) and position for position, step in enumerate(schedule)),
        sum(int(step.client[1:] or 1) for step in schedule if role_of(step.client) is not Role.WORKER),
    )


async def shrink(
    schedule: Schedule,
    attempt: Attempt,
    *,
    allowed: Collection[type[Step]] | None = None,
    attempts_max: int = ATTEMPTS_MAX,
) -> Schedule:
    """The simplest failing schedule that the passes reach from `schedule`, in at most `attempts_max` runs.

    `attempt` runs a candidate, leaves out steps that cannot be taken, and returns the steps taken if they failed from
    the same cause. A candidate has only kinds of steps that are `allowed` (None: every kind) or in `schedule`.
    """
    permitted = {*(KINDS.values() if allowed is None else allowed), *map(type, schedule)}
    tried: set[str] = set()
    best, improved = schedule, True
    while improved and len(tried) < attempts_max:
        improved = False
        for candidates in _PASSES:
            position = 0
            options = _permitted(candidates(best), permitted)
            while position < len(options) and len(tried) < attempts_max:
                better = await _better(options[position], best, attempt, tried)
                position += 1
                if better is not None:
                    best, improved = better, True
                    options, position = _permitted(candidates(best), permitted), _resume(position, candidates)
    return best


def _permitted(candidates: Iterator[Schedule], permitted: Collection[type[Step]]) -> list[Schedule]:
    """The candidates that have no other kinds of steps than the permitted ones."""
    return [candidate for candidate in candidates if all(type(step) in permitted for step in candidate)]


async def _better(candidate: Schedule, best: Schedule, attempt: Attempt, tried: set[str]) -> Schedule | None:
    """Try a candidate, if it is simpler than the best so far and was not tried before; return the steps taken."""
    key = json.dumps([step.to_json() for step in candidate], sort_keys=True)
    if key in tried or cost(candidate) >= cost(best):
        return None
    tried.add(key)
    performed = await attempt(candidate)
    return performed if performed is not None and cost(performed) < cost(best) else None


def _resume(position: int, candidates: Callable[[Schedule], Iterator[Schedule]]) -> int:
    """The position where a pass goes on after an improvement: chunks at the same place, other passes at the start."""
    return max(position - 1, 0) if candidates is _without_chunks else 0


def _without_chunks(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule without one chunk, larger and later chunks first; then without any two steps."""
    size = max(len(schedule) // 2, 1)
    while size:
        for start in range(len(schedule) - size, -1, -size):
            yield _without(schedule, range(start, start + size))
        size //= 2
    for first in range(len(schedule)):
        for second in range(first + 2, len(schedule)):
            yield _without(schedule, (first, second))


def _without(schedule: Schedule, removed: Collection[int]) -> Schedule:
    """The schedule without some steps. Jobs are named by their order, so the jobs behind a removed one are renamed."""
    names: dict[str, str] = {}
    enqueued = left = 0
    for position, step in enumerate(schedule):
        if _enqueues(step):
            enqueued += 1
            left += position not in removed
            names[f"J{enqueued}"] = f"J{left}"
    return tuple(_rename(step, names) for position, step in enumerate(schedule) if position not in removed)


def _rename(step: Step, names: Mapping[str, str]) -> Step:
    job = step.arguments.get("job") if isinstance(step, Begin) else None
    if not isinstance(step, Begin) or job is None or names.get(job, job) == job:
        return step
    return evolve(step, arguments={**step.arguments, "job": names[job]})


def _joined(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule with two parts of one operation joined, at the place of the later part or of the earlier one.

    A lost answer ends an operation as well. An operation in between may now have to stop halfway.
    """
    for first, step in enumerate(schedule):
        later = [position for position in range(first + 1, len(schedule)) if schedule[position].client == step.client]
        if isinstance(step, Begin | Go) and step.stop and later and _finishes(schedule[later[0]]):
            second = later[0]
            stop = schedule[second].weight.stop
            whole = evolve(step, stop=step.stop + stop if stop else 0)
            before, between, after = schedule[:first], schedule[first + 1 : second], schedule[second + 1 :]
            yield (*before, *between, whole, *after)
            yield (*before, whole, *between, *after)
            for position, other in enumerate(between):
                if _begins(other):
                    for halfway in (2, 3):
                        held = evolve(other, stop=halfway)
                        yield (*before, *between[:position], held, *between[position + 1 :], whole, *after)


def _waited(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule with two waits joined to whole seconds, at the place of the later wait or of the earlier one."""
    waits = [(position, step) for position, step in enumerate(schedule) if isinstance(step, Advance)]
    for (first, one), (second, other) in itertools.combinations(waits, 2):
        whole = Advance(seconds=float(math.ceil(one.seconds + other.seconds)))
        before, between, after = schedule[:first], schedule[first + 1 : second], schedule[second + 1 :]
        yield (*before, *between, whole, *after)
        yield (*before, whole, *between, *after)


def _simplified(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule with one step replaced by a simpler one."""
    for position, step in enumerate(schedule):
        for simpler in step.simpler():
            yield (*schedule[:position], simpler, *schedule[position + 1 :])


def _decimals(seconds: float) -> int:
    """The number of digits behind the decimal point, at most six."""
    return len(f"{seconds:.6f}".rstrip("0").partition(".")[2])


def _replaced(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule with some steps in a row replaced by one plain step, which may complete the cycle of a deadlock."""
    for size in (3, 2):
        for first in range(len(schedule) - size + 1):
            before, after = schedule[:first], schedule[first + size :]
            for plain in _plain_steps(schedule[: first + size]):
                yield (*before, plain, *after)
                if any(isinstance(step, Deadlock) for step in after):
                    yield (*before, plain, *(_with_victim(step, plain.client) for step in after))


def _with_victim(step: Step, client: str) -> Step:
    return evolve(step, client=client) if isinstance(step, Deadlock) else step


def _plain_steps(story: Schedule) -> Iterator[Step]:
    """The plain steps that can follow a story: a client settles, dies or goes on, or a job is cancelled."""
    clients = dict.fromkeys(step.client for step in reversed(story) if step.client)
    for client in clients:
        if role_of(client) is Role.WORKER:
            for operation in (FAIL.name, RETRY.name, COMPLETE.name):
                yield Begin(client=client, operation=operation)
            yield Crash(client=client)
        yield Go(client=client)
    for number in range(sum(map(_enqueues, story))):
        job = {"job": f"J{number + 1}"}
        yield Begin(client="P", operation=CANCEL.name, arguments=job)


def _renamed(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule with the steps of one client given to another of its role, or of two clients exchanged."""
    clients = sorted({step.client for step in schedule if step.client})
    for later in clients:
        for earlier in ("A", "B", "C", "D", "M", "M2", "P", "P2"):
            if earlier < later and role_of(earlier) is role_of(later):
                yield tuple(evolve(step, client=earlier) if step.client == later else step for step in schedule)
                swap = {earlier: later, later: earlier}
                yield tuple(evolve(step, client=swap.get(step.client, step.client)) for step in schedule)
    yield from _untwinned(schedule, _workers(clients))
    yield from _succeeded(schedule)


def _untwinned(schedule: Schedule, workers: Sequence[str]) -> Iterator[Schedule]:
    """The schedule with a twin's steps given to a worker of another name."""
    for position, twin in enumerate(schedule):
        if isinstance(twin, Twin):
            rest = (*schedule[:position], *schedule[position + 1 :])
            doubles = [name for name in workers if name != twin.client and name.startswith(twin.client)]
            for other in sorted({"A", "B", "C"} - set(workers)) if doubles else ():
                yield tuple(evolve(step, client=other) if step.client in doubles else step for step in rest)


def _succeeded(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule without a step that only made its worker free; another worker takes the worker's next steps."""
    for position, last in enumerate(schedule):
        before, after = schedule[:position], schedule[position + 1 :]
        busy = {step.client for step in after}
        for other in sorted({"A", "B", "C"} - busy) if last.client in _workers(busy) else ():
            yield (*before, *(evolve(step, client=other) if step.client == last.client else step for step in after))


def _workers(clients: Collection[str]) -> list[str]:
    """The workers among the clients, in the order of their names."""
    return sorted(client for client in clients if client and role_of(client) is Role.WORKER)


def _moved(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule with one step moved earlier, next to another of its client or to the front."""
    for position, step in enumerate(schedule):
        for target in range(position):
            if _enqueues(step) or (target and schedule[target - 1].client == step.client):
                yield (*schedule[:target], step, *schedule[target:position], *schedule[position + 1 :])


def _halted(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule without one operation; the one that waited for it now stops halfway by itself."""
    for first, step in enumerate(schedule):
        rest = _without(schedule, _parts(schedule, first)) if _begins(step) else ()
        for position, later in enumerate(rest):
            for halfway in (2, 3) if _begins(later) else ():
                yield (*rest[:position], _halfway(later, halfway), *rest[position + 1 :])


def _postponed(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule without one operation; another begins later, while the operation that it waits for is halfway."""
    for first, step in enumerate(schedule):
        rest = _without(schedule, _parts(schedule, first)) if _begins(step) else ()
        for position, later in enumerate(rest):
            for target in range(position + 1, len(rest)) if _begins(later) else ():
                for halfway in (rest[target].weight.stop, 2, 3) if _begins(rest[target]) else (0,):
                    passed = (*rest[position + 1 : target], _halfway(rest[target], halfway))
                    yield (*rest[:position], *passed, later, *rest[target + 1 :])


def _undisturbed(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule without one crash, cut or restart; an operation that began before it stops halfway instead.

    A fault lets others see what an operation left behind, and so does an operation that waits at a gate.
    """
    for fault, step in enumerate(schedule):
        rest = _without(schedule, (fault,)) if isinstance(step, Severance | Restart) else ()
        for position, earlier in enumerate(rest[:fault]):
            for halfway in (2, 3) if isinstance(earlier, Begin) else ():
                yield (*rest[:position], _halfway(earlier, halfway), *rest[position + 1 :])


def _beaten(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule with a heartbeat of one holder in place of the steps that give the job to the next holder.

    Either way the job changes while another operation is halfway, which then acts on what it saw before.
    """
    claims = [position for position, step in enumerate(schedule) if _begins(step, CLAIM.name)]
    for holder, last in itertools.combinations(claims, 2):
        beat = Begin(client=schedule[holder].client, operation=HEARTBEAT.name)
        for first in range(max(holder + 1, last - 2), last):
            yield (*schedule[:first], beat, *schedule[last + 1 :])


def _asked_again(schedule: Schedule) -> Iterator[Schedule]:
    """The schedule with one client that asks for an operation twice, in place of two holders that ask once each.

    The answer is lost the first time, so the client connects again and repeats what it asked for.
    """
    begins = [(position, step) for position, step in enumerate(schedule) if _begins(step)]
    for (earlier, one), (later, other) in itertools.combinations(begins, 2):
        if one.operation == other.operation:
            client = other.client
            lost = (evolve(other, stop=1), Cut(client=client, fate=Fate.AFTER), Connect(client=client))
            for first in range(earlier + 1):
                yield (*schedule[:first], *lost, *schedule[later:])


_PASSES = (
    _without_chunks,
    _joined,
    _waited,
    _simplified,
    _renamed,
    _moved,
    _replaced,
    _halted,
    _postponed,
    _undisturbed,
    _beaten,
    _asked_again,
)


def _enqueues(step: Step) -> bool:
    return isinstance(step, Begin) and step.operation == ENQUEUE.name


def _begins(step: Step, operation: str = "") -> TypeGuard[Begin]:
    """Whether the step begins this operation; without one, any operation but an enqueue."""
    if not isinstance(step, Begin):
        return False
    return step.operation == operation if operation else step.operation != ENQUEUE.name


def _halfway(step: Step, stop: int) -> Step:
    """The step, with another stop if it can have one."""
    return evolve(step, stop=stop) if isinstance(step, (Begin, Go)) else step


def _finishes(step: Step) -> bool:
    """Whether the step lets an operation go on from halfway, or ends it with a lost answer."""
    return isinstance(step, Go) or (isinstance(step, Severance) and step.fate is Fate.AFTER)


def _parts(schedule: Schedule, first: int) -> list[int]:
    """The positions where an operation goes on that begins at `first`."""
    client = schedule[first].client
    later = [position for position in range(first + 1, len(schedule)) if schedule[position].client == client]
    goes_on = itertools.takewhile(lambda position: isinstance(schedule[position], Go), later)
    return [first, *goes_on]
