"""A dry run: each operation of a target once, alone, on the real server, and what was understood of it.

What can be found out by trying is tried. A column depends on chance, or on the clock, if it differs in a scene that
differs in nothing but these. A statement is a fence if it refuses a worker whose name, or whose claim, is another one;
and a former holder is one whose job another worker has by now.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from pgqmodel.events import Committed, Ran, Returned
from pgqmodel.explore.scene import Scene
from pgqmodel.history import Event, Job
from pgqmodel.operations import CLAIM, HEARTBEAT, Lease, Role, State, Status
from pgqmodel.steps import Begin
from pgqmodel.target import Function, Statements
from pgqmodel.target.sources import chance_in, clock_in
from pgqmodel.understood import Fence, OperationSeen, StatementSeen, Understanding
from pgqmodel.world import World
from pgqmodel.world.client import Client
from pgqmodel.world.deadlines import lease_seconds

__all__ = ["DryRun"]

_AHEAD_SECONDS = 12_345.678
_DAY_SECONDS = 86_400.0
_Rows = Sequence[Mapping[str, Any]]


@frozen(kw_only=True)
class _Trial:
    """How a call of somebody who does not hold the job ended, which statement stopped it, and whether a job changed.

    That statement touched no row or raised an error; where none did, it is the last one, whose answer was no.
    """

    status: Status | None
    stopped: int | None
    changed: bool


@define(kw_only=True)
class DryRun:
    """The dry run of the target of a world."""

    world: World
    _words: dict[str, None] = field(factory=dict)
    _by_clock: set[str] = field(factory=set)
    _by_chance: set[str] = field(factory=set)
    _claimed: set[str] = field(factory=set)
    """The columns that claims have given; those of a function are known only then."""

    async def run(self) -> Understanding:
        """Run everything, and say what was understood; TargetError for what the file does not fit."""
        target = self.world.target
        scene = Scene(world=self.world)
        await scene.clear(clean=True)
        operations = [await self._operation(scene, name) for name in target.operations]
        follows = await self._follows_clock(scene)
        await scene.clear(clean=True)
        known = dict.fromkeys((*target.observe.states, *(target.observe.run_states or ())))
        return Understanding(
            operations=tuple(operations),
            leases=target.leases,
            lease_seconds=lease_seconds(target.settings),
            assumed=tuple(sorted(target.assumed)),
            follows_clock=follows,
            clock_columns=tuple(sorted(self._by_clock)),
            chance_columns=tuple(sorted(self._by_chance)),
            words_seen=tuple(word for word in known if word in self._words),
            words_unseen=tuple(word for word in known if word not in self._words),
        )

    # -- one operation ---------------------------------------------------------------------------------------------

    async def _operation(self, scene: Scene, name: str) -> OperationSeen:
        """Run an operation in a scene of its own; then in two that differ in chance and in time.

        Maintenance that has nothing to do once a lease is over may want more time: a day, if that makes a difference.
        """
        kind = self.world.target.kinds[name]
        seen, given, shown = await self._once(scene, name)
        if kind.role is Role.MAINTENANCE and seen.did_nothing:
            patient = evolve(scene, patience=_DAY_SECONDS)
            later, *rest = await self._once(patient, name)
            if not later.did_nothing:
                scene, seen, (given, shown) = patient, later, rest
        _, other_given, other_shown = await self._once(evolve(scene, chance=1), name)
        _, later_given, later_shown = await self._once(evolve(scene, ahead=_AHEAD_SECONDS), name)
        by_chance, by_clock = _differing(given, other_given), _differing(given, later_given)
        in_time = _differing(shown, later_shown)
        self._by_chance |= _differing(shown, other_shown)
        if self.world.server.clock is None:  # then each scene has another chance, and what differs by that is no proof
            by_clock, in_time = by_clock - by_chance, in_time - self._by_chance
        self._by_clock |= in_time
        return evolve(
            seen,
            patience=scene.patience,
            chance_columns=tuple(sorted(by_chance)),
            clock_columns=tuple(sorted(by_clock)),
            fence=await self._fence(scene, seen) if kind.settles or name == HEARTBEAT.name else None,
        )

    async def _once(self, scene: Scene, name: str) -> tuple[OperationSeen, _Rows, _Rows]:
        """Run an operation; what was seen of it, the rows that its claim gave, and what is observed after it."""
        world, kind = self.world, self.world.target.kinds[name]
        await scene.clear()
        client, arguments = await scene.prepare(name)
        self._note_words()
        before, there = dict(world.observer.jobs), len(scene.there(State.PENDING))
        events = await self._begin(scene, client, name, arguments)
        self._note_words()
        given = [belief.row for belief in client.held] if kind.names_job else []
        self._claimed |= {column for row in given for column in row} if name == CLAIM.name else set()
        returned = next((event for event in events if isinstance(event, Returned)), None)
        jobs = (returned.job, *returned.also) if returned is not None and returned.job is not None else ()
        statements = tuple(self._statements(name, events))
        seen = OperationSeen(
            operation=name,
            client=client.name,
            status=returned.status if returned is not None else None,
            error=returned.error if returned is not None else None,
            statements=statements,
            job_from=self._job_from(name, statements, jobs),
            there=there,
            jobs=jobs,
            columns=tuple(dict.fromkeys(column for row in given for column in row)),
            uses=self._uses(name),
            changes=tuple(_changes(before, world.observer.jobs)),
            met=", ".join(f"{job} {row.state}" for job, row in before.items()),
            leaves_open=_is_open(events),
        )
        return seen, given, world.side.query(world.target.observe.jobs)

    async def _begin(self, scene: Scene, client: Client, name: str, arguments: Mapping[str, Any]) -> Sequence[Event]:
        before = len(self.world.history)
        await scene.take(Begin(client=client.name, operation=name, arguments=arguments))
        return self.world.history[before:]

    def _note_words(self) -> None:
        """Remember which of the queue's own words for states are shown."""
        observe = self.world.target.observe
        for sql in (observe.jobs, *([observe.runs] if observe.runs is not None else [])):
            self._words |= {row["state"]: None for row in self.world.side.query(sql)}

    def _statements(self, name: str, events: Sequence[Event]) -> Iterator[StatementSeen]:
        """What ran, each under the number that it has in the file."""
        target, program = self.world.target, self.world.target.operations[name]
        setup = [script.sql for script in target.setup]
        numbers = [each.sql for each in program.statements] if isinstance(program, Statements) else []
        position = -1
        for event in events:
            if not isinstance(event, Ran) or event.snapshot:
                continue
            position = next((at for at in range(position + 1, len(numbers)) if numbers[at] == event.sql), position + 1)
            returns = target.returns.get(name, ())
            yield StatementSeen(
                number=position + 1,
                tag=event.tag,
                error=event.error,
                columns=returns[position] if position < len(returns) else (),
                clock=clock_in(event.sql, setup),
                chance=chance_in(event.sql, setup),
            )

    def _job_from(self, name: str, statements: Sequence[StatementSeen], jobs: Sequence[str]) -> str | None:
        """Where the job of an enqueue or a claim comes from; None if there is none."""
        if not jobs:
            return None
        program = self.world.target.operations[name]
        if not isinstance(program, Statements):
            return program.source.name if isinstance(program, Function) else "its program"
        giving = [each.number for each in statements if "job" in each.columns]
        return f"statement {giving[-1]}" if giving else "commit"

    def _uses(self, name: str) -> dict[str, str]:
        """Where each parameter of an operation comes from."""
        target, program = self.world.target, self.world.target.operations[name]
        claimed = {column for each in target.returns.get(CLAIM.name, ()) for column in each} | self._claimed
        sources: dict[str, str] = {}
        for parameter in sorted(program.parameters):
            holders = target.kinds[name].holders and parameter in claimed
            setting = "setting" if parameter in target.settings else "client"
            sources[parameter] = "worker" if parameter == "worker" else "claim" if holders else setting
        if isinstance(program, Statements):
            for number, columns in enumerate(target.returns.get(name, ()), 1):
                later = {each for other in program.statements[number:] for each in other.names}
                sources |= {column: f"statement {number}" for column in columns if column in later}
        return sources

    # -- what an operation rests on --------------------------------------------------------------------------------

    async def _fence(self, scene: Scene, seen: OperationSeen) -> Fence | None:
        """Try a holder's operation for a worker that does not hold the job."""
        if Lease.TRANSACTION in self.world.target.leases:
            return None
        name, moves = seen.operation, bool(seen.changes)
        tried = {parameter: await self._altered(scene, name, parameter) for parameter in self._claims_names(name)}
        late = await self._late(scene, name) or await self._late(evolve(scene, patience=_DAY_SECONDS), name)
        refusals = [each for each in (*tried.values(), late) if each is not None and each.status is Status.REFUSED]
        accepted = {name: each for name, each in tried.items() if each is not None and each.status is Status.OK}
        return Fence(
            names=tuple(name for name, each in tried.items() if each in refusals),
            silent=tuple(name for name, each in accepted.items() if moves and not each.changed),
            ignored=tuple(name for name, each in accepted.items() if each.changed or not moves),
            late=late.status if late is not None else None,
            late_changes=late is not None and (late.changed or not moves),
            statement=next((each.stopped for each in refusals if each.stopped is not None), None),
        )

    def _claims_names(self, name: str) -> list[str]:
        """The parameters that tell one claim from another: the worker's name, and what the claim returned."""
        uses = self._uses(name)
        return [each for each, source in uses.items() if source in {"worker", "claim"} and each not in {"job", "jobs"}]

    async def _altered(self, scene: Scene, name: str, parameter: str) -> _Trial | None:
        """How an operation ends if one of its parameters is another."""
        await scene.clear()
        await scene.skip()
        client, arguments = await scene.prepare(name)
        belief = client.belief
        if belief is None:
            return None
        if parameter == "worker":
            client.worker = f"{client.worker}-other"
        else:
            value = belief.row.get(parameter)
            other = _another(value)
            if other is None or str(value) == self.world.observer.names.identifier(belief.job):
                return None
            client.held = [evolve(each, row={**each.row, parameter: other}) for each in client.held]
        return await self._try(scene, client, name, arguments)

    async def _late(self, scene: Scene, name: str) -> _Trial | None:
        """How it ends for a worker that has lost its job to another one."""
        await scene.clear()
        await scene.hold()
        first, second = scene.client(Role.WORKER), scene.client(Role.WORKER, 1)
        if first.belief is None:
            return None
        job = first.belief.job
        await scene.lapse(first)
        await scene.maintain()
        await scene.wait()
        if not await scene.claim(second) or all(each.job != job for each in second.held):
            return None
        return await self._try(scene, first, name, {})

    async def _try(self, scene: Scene, client: Client, name: str, arguments: Mapping[str, Any]) -> _Trial:
        before = dict(self.world.observer.jobs)
        events = await self._begin(scene, client, name, arguments)
        statements = list(self._statements(name, events))
        idle = (each.number for each in statements if each.touched_nothing or each.error is not None)
        return _Trial(
            status=next((event.status for event in events if isinstance(event, Returned)), None),
            stopped=next(idle, statements[-1].number if statements else None),
            changed=before != self.world.observer.jobs,
        )

    async def _follows_clock(self, scene: Scene) -> str | None:
        """What the clock alone does to a job that is held."""
        await scene.clear()
        await scene.hold()
        before = dict(self.world.observer.jobs)
        if Lease.SESSION not in self.world.target.leases:
            await scene.lapse(scene.client(Role.WORKER))
        self._note_words()
        return next(_changes(before, self.world.observer.jobs), None)


def _differing(one: _Rows, other: _Rows) -> set[str]:
    """The columns whose values are not the same in both, whatever the order of the rows."""
    columns = {column for row in (*one, *other) for column in row}
    return {name for name in columns if _values(one, name) != _values(other, name)}


def _values(rows: _Rows, column: str) -> list[str]:
    return sorted(str(row.get(column)) for row in rows)


def _changes(before: Mapping[str, Job], after: Mapping[str, Job]) -> Iterator[str]:
    """What became of each job, in a few words."""
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name), after.get(name)
        if was is None or now is None or was.state is not now.state:
            yield f"{name}: {was.state if was else 'absent'} -> {now.state if now else 'absent'}"
        elif was != now:
            yield f"{name}: stays {now.state}, with other columns"


def _is_open(events: Sequence[Event]) -> bool:
    """Whether the last statement of a call left its transaction open."""
    last = next((event for event in reversed(events) if isinstance(event, Ran | Committed)), None)
    return isinstance(last, Ran) and last.open


_ANOTHER: Mapping[type, Callable[[Any], Any]] = {
    bool: lambda value: not value,
    int: lambda value: value + 1,
    float: lambda value: value + 1,
    decimal.Decimal: lambda value: value + 1,
    str: lambda value: value[:-1] + ("0" if value[-1:] != "0" else "1"),
    uuid.UUID: lambda value: uuid.UUID(int=value.int ^ 1),
    dt.datetime: lambda value: value + dt.timedelta(seconds=1),
}
"""Another value of the same type, by the type."""


def _another(value: Any) -> Any:
    change = _ANOTHER.get(type(value))
    return change(value) if change is not None else None
