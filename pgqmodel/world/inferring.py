"""What a program meant, inferred from what its commits changed: nobody tells us which operation it ran.

Each change of a commit is the trace of a call, and the calls are told at the commit, with the answer that the program
got: a job that begins to run was claimed, a running one that is completed was completed, and so on. A commit that
changes nothing that the queue shows tells no call: a refused settlement, a poll that found nothing.

A job that is settled and was never seen to run was claimed in the same transaction, or by a lock: two calls are told, a
claim that shows nothing and the settlement. Whoever takes a pending job's row away has claimed it as well.

A program that gives a job back may do so as its holder or as the queue's maintenance. It counts as the holder if the
job's claim is its own. If the job is another's by now, it is a late holder where it claimed the job in this life,
unless the lease of the other has lapsed: then to take the job back is right, whoever does it.

A new end of the lease is a heartbeat, or a claim of the same worker once more. It is a claim if the statement is one
that has claimed before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from pgqmodel.body import is_body
from pgqmodel.history import COMMIT, Blocked, Committed, Ended, Executed, Invoked, Job, Observed, Returned, Working
from pgqmodel.operations import (
    CANCEL,
    CLAIM,
    COMPLETE,
    ENQUEUE,
    FAIL,
    FINAL,
    HEARTBEAT,
    RECLAIM,
    RETRY,
    UNHELD,
    State,
    Status,
)
from pgqmodel.wire import StatementKind, Unit
from pgqmodel.world.actors import bodies

if TYPE_CHECKING:
    from pgqmodel.wire.line import Line
    from pgqmodel.world.actors import Actor
    from pgqmodel.world.world import World

__all__ = ["bury_dead", "record_programs"]

_ENDS: Mapping[State, str] = {
    State.COMPLETED: COMPLETE.name,
    State.FAILED: FAIL.name,
    State.CANCELLED: CANCEL.name,
}
"""The operation by which a job gets to a final state."""


def record_programs(world: World, lost: Mapping[str, Sequence[Unit]], before: Mapping[str, list[int] | None]) -> None:
    """Record what the programs did since the last step: units, commits with their calls, waits, bodies of jobs.

    `lost` are the units of lines that were cut: the program did not get the answers. On a line that it left by itself
    it did. Units are recorded in the order in which they were done: a commit may have freed a lock, and what waited for
    that changed nothing of what the commit did.
    """
    left = dict(world.gate.left)
    world.gate.left.clear()
    open_now = {line.name: line.take_ran() for actor in world.actors for line in world.gate.lines_of(actor)}
    everything = [*lost.items(), *left.items(), *open_now.items()]
    ran = [(unit.turn, name, unit) for name, units in everything for unit in units if _owner(name) in world.actors]
    for _, name, unit in sorted(ran, key=lambda each: each[0]):
        _record_unit(world, world.actors[_owner(name)], name, unit, answered=name not in lost)
    for actor in world.actors.values():
        for line in world.gate.lines_of(actor.name):
            _record_block(world, actor, line, before.get(line.name))
    _record_bodies(world)


def _owner(line: str) -> str:
    """The program that has a line."""
    return line.partition(".")[0]


def _record_unit(world: World, actor: Actor, line: str, unit: Unit, *, answered: bool) -> None:
    if unit.kind in {StatementKind.SESSION, StatementKind.BEGIN} and not unit.open:
        return
    if not is_body(unit.sql):
        sql = COMMIT if unit.is_commit else unit.sql
        told = {"parameters": tuple(unit.parameters), "tag": unit.tag} if sql != COMMIT else {}
        world.emit(Executed, client=actor.name, line=line, sql=sql, error=unit.error, open=unit.open, **told)
    if unit.committed:
        _infer(world, actor, line, unit, answered=answered)


def _infer(world: World, actor: Actor, line: str, unit: Unit, *, answered: bool) -> None:
    """Look at what a commit changed, and tell the calls that explain it."""
    before = dict(world.observer.jobs)
    seen = world.observer.look(step=world.step, by=())
    if seen is None:
        return
    calls: dict[tuple[str, int | None, str | None], list[str]] = {}
    _tell_unseen_claims(world, actor, line, before, seen)
    for name, after in seen.jobs.items():
        operation = _operation(world, actor, before.get(name), after)
        if operation == HEARTBEAT.name and unit.sql in actor.claiming:
            operation = CLAIM.name
        if operation is not None:
            claim = actor.claims.get(name) if world.target.kinds[operation].holders else None
            about = name if world.target.kinds[operation].holders or operation == CANCEL.name else None
            calls.setdefault((operation, claim, about), []).append(name)
    numbers = [_begin(world, actor, line, *call) for call in calls]
    world.history.append(evolve(seen, by=tuple(numbers)))
    for number, ((operation, _, _), jobs) in zip(numbers, calls.items(), strict=True):
        _answer(world, actor, number, operation, jobs, answered=answered)
        if operation == CLAIM.name and unit.kind is not StatementKind.COMMIT:
            actor.claiming.add(unit.sql)


def _begin(
    world: World, actor: Actor, line: str, operation: str, claim: int | None = None, job: str | None = None
) -> int:
    """Tell that a call was made and has committed; its number."""
    world.calls += 1
    told = {"call": world.calls, "operation": operation, "job": job, "claim": claim, "line": line}
    world.emit(Invoked, client=actor.name, worker=world.clients[actor.name].worker, **told)
    world.emit(Committed, client=actor.name, call=world.calls)
    return world.calls


def _tell_unseen_claims(world: World, actor: Actor, line: str, before: Mapping[str, Job], seen: Observed) -> None:
    """Tell the claims of jobs that a commit settles and that nobody saw running."""
    for name, after in seen.jobs.items():
        was = before.get(name)
        done = name in actor.ran and (after is None or after.state in FINAL)
        if was is not None and was.state in UNHELD and done and name not in actor.claims:
            _answer(world, actor, _begin(world, actor, line, CLAIM.name), CLAIM.name, [name], answered=True)


def _answer(world: World, actor: Actor, number: int, operation: str, jobs: list[str], *, answered: bool) -> None:
    """Tell the end of a call, and note the claims of this life of the program.

    A claim whose answer was lost is its claim, too: it may look up what it holds, and go on with that.
    """
    if operation == CLAIM.name:
        actor.claims |= dict.fromkeys(jobs, number)
    if not answered:
        world.emit(Returned, client=actor.name, call=number, status=Status.UNKNOWN)
        return
    named = {"job": jobs[0], "also": tuple(jobs[1:])} if world.target.kinds[operation].names_job else {}
    world.emit(Returned, client=actor.name, call=number, status=Status.OK, **named)


def _operation(world: World, actor: Actor, before: Job | None, after: Job | None) -> str | None:
    """The operation that explains a change of one job; None if a change of its row alone means nothing."""
    if before is None:
        return ENQUEUE.name
    if after is None:
        return _removal(world, actor, before)
    if after.state is State.RUNNING:
        handed_over = before.state is not State.RUNNING or _is_handed_over(before, after)
        return CLAIM.name if handed_over else HEARTBEAT.name if _is_longer(before, after) else None
    if after.state in UNHELD and before.state is State.RUNNING:
        return RETRY.name if _held(world, actor, before) else RECLAIM.name
    return None if before.state is after.state else _ENDS.get(after.state, RETRY.name)


def _removal(world: World, actor: Actor, job: Job) -> str | None:
    """The operation that took a job's row away."""
    if job.state in FINAL:
        return None
    if job.state is State.RUNNING:
        return COMPLETE.name if _held(world, actor, job) else CANCEL.name
    return COMPLETE.name if job.job in actor.ran else CLAIM.name


def _is_handed_over(before: Job, after: Job) -> bool:
    """Whether a running job was claimed once more. One whose holder's name is taken away was not."""
    return before.attempt != after.attempt or after.holder not in {None, before.holder}


def _is_longer(before: Job, after: Job) -> bool:
    """Whether a running job's lease ends later than before; a worker that takes its leave ends it."""
    return after.lease_until is not None and (before.lease_until is None or after.lease_until > before.lease_until)


def _held(world: World, actor: Actor, job: Job) -> bool:
    """Whether a program acts on a running job as its holder, in time or too late."""
    claimed = actor.claims.get(job.job)
    if claimed is None:
        return False
    current = _last_claim(world, job.job)
    return current == claimed or not _has_lapsed(world, job)


def _last_claim(world: World, job: str) -> int | None:
    """The claim of a job that a program made last."""
    return max((each.claims[job] for each in world.actors.values() if job in each.claims), default=None)


def _has_lapsed(world: World, job: Job) -> bool:
    """Whether the row shows that a job's lease is over; a row without an end does not show it."""
    return job.lease_until is not None and world.now >= job.lease_until


def _record_block(world: World, actor: Actor, line: Line, before: list[int] | None) -> None:
    if not line.blocked_by or before == line.blocked_by:
        return
    owners = {other.backend_pid: _owner(name) for name, other in world.gate.lines.items()}
    by = tuple(sorted({owners[pid] for pid in line.blocked_by if pid in owners}))
    world.emit(Blocked, client=actor.name, call=0, by=by)


def _record_bodies(world: World) -> None:
    """Record the bodies of jobs whose connection is gone, and then those that have begun.

    The end comes first: a worker's death frees its locks, and another one that waited for them begins after it.
    """
    held = {
        actor.name: {
            line: world.observer.names.name(job) for line, job in bodies(world.gate.lines_of(actor.name)).items()
        }
        for actor in world.actors.values()
    }
    for actor in world.actors.values():
        for line, job in actor.working.items():
            if held[actor.name].get(line) != job:
                world.emit(Working, client=actor.name, line=line, job=job, over=True)
    for actor in world.actors.values():
        for line, job in held[actor.name].items():
            if actor.working.get(line) != job:
                world.emit(Working, client=actor.name, line=line, job=job)
                actor.ran.add(job)
        actor.working = held[actor.name]


def bury_dead(world: World) -> bool:
    """Record the programs that have ended by themselves. Return whether there were any."""
    assert world.troupe is not None, "only a world of programs has any"
    dead = world.troupe.dead()
    for actor in dead:
        world.troupe.bury(actor)
        actor.working = {}
        world.emit(Ended, client=actor.name, crashed=True)
    return bool(dead)
