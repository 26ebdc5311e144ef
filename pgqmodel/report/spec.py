"""A trace as a specification for Postgres' stock isolationtester: the same steps in plain SQL, without pgqmodel.

Every unit in the history that the server ran becomes a statement with literal parameters, and the order in which units
began becomes the permutation. Some events cannot be expressed as statements; then `render` refuses.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define, field, frozen

from pgqmodel.errors import UsageError
from pgqmodel.history import (
    Advanced,
    Blocked,
    Committed,
    Connected,
    Deadlocked,
    Draining,
    Ended,
    Event,
    Invoked,
    Observed,
    Ran,
    Restarted,
    Returned,
)
from pgqmodel.naming import values_back
from pgqmodel.operations import ENQUEUE
from pgqmodel.promises import PROMISES
from pgqmodel.report.sql_text import indented, inline, terminated, tidied, without_braces
from pgqmodel.trace import Trace

__all__ = ["NotInSqlError", "render"]

_CLOCK, _OBSERVER = "clock", "observer"
_DRAWN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\d[ T]\d\d:\d\d.*", re.IGNORECASE)
"""Values that will differ in the next run: random identifiers and times."""
_LINE_MAX = 90
_DEADLOCK_SETUP = {True: "SET deadlock_timeout = '1s';", False: "SET deadlock_timeout = '1h';"}


class NotInSqlError(UsageError):
    """The trace has an event that no SQL statement can express; the message names it."""

    def __init__(self, reason: str) -> None:
        message = (
            f"this trace cannot be written as a specification: {reason}; expected only what SQL statements can say. "
            "Use `pgqmodel replay` to see it again"
        )
        super().__init__(message)
        self.reason = reason


@define(kw_only=True)
class _Step:
    """One step of the specification. A `sealed` step takes no more statements, because the next one is a new choice."""

    name: str
    comment: str
    call: int
    statements: list[str] = field(factory=list)
    sealed: bool = False


@define(kw_only=True)
class _Session:
    """One session, with its steps in order."""

    name: str
    comment: str
    steps: list[_Step] = field(factory=list)
    open: bool = False


@frozen(kw_only=True)
class _Unit:
    """A unit that ran, placed at the step in which it was `sent`; `waited` if it had to wait for a lock."""

    ran: Ran
    sent: int
    waited: bool


def render(trace: Trace) -> str:
    """The specification; NotInSqlError if plain SQL cannot express the trace."""
    if (untold := next((step for step in trace.steps if step.is_told), None)) is not None:
        reason = f"what the step {untold.action} does is no statement of a client"
        raise NotInSqlError(reason)
    writer = _Writer(trace=trace, items=_as_sent(trace.history))
    return writer.write()


def _as_sent(history: Iterable[Event]) -> list[Event | _Unit]:
    """The events, with each unit at the place where it was sent instead of where it was answered."""
    items: list[Event | _Unit | None] = []
    waiting: dict[str, tuple[int, int]] = {}
    taken: dict[str, int] = {}
    for event in history:
        if isinstance(event, Ran) and taken.pop(event.client, event.step) != event.step:
            reason = f"others act between the snapshot of {event.client}'s statement and its run in step {event.step}"
            raise NotInSqlError(reason)
        if isinstance(event, Ran) and event.snapshot:
            taken[event.client] = event.step
        elif isinstance(event, Blocked):
            if event.client not in waiting:
                waiting[event.client] = len(items), event.step
                items.append(None)
        elif isinstance(event, Ran) and event.client in waiting:
            position, sent = waiting.pop(event.client)
            items[position] = _Unit(ran=event, sent=sent, waited=True)
        elif isinstance(event, Ran):
            items.append(_Unit(ran=event, sent=event.step, waited=False))
        elif isinstance(event, Ended) and event.client in waiting:
            reason = f"the connection of {event.client} ends in step {event.step} while its statement waits for a lock"
            raise NotInSqlError(reason)
        else:
            items.append(event)
    return [item for item in items if item is not None]


@define(kw_only=True)
class _Writer:
    """Walks the items once and collects sessions, steps and their order."""

    trace: Trace
    items: list[Event | _Unit]
    sessions: dict[str, _Session] = field(init=False, factory=dict)
    current: dict[str, _Session] = field(init=False, factory=dict)
    names: set[str] = field(init=False, factory=set)
    order: list[_Step] = field(init=False, factory=list)
    calls: dict[int, Invoked] = field(init=False, factory=dict)
    given: set[str] = field(init=False, factory=set)
    draining: bool = False
    position: int = 0

    def write(self) -> str:
        """The text of the specification."""
        for position, item in enumerate(self.items):
            self.position = position
            _WRITE[type(item)](self, item)
        self._observe("what the database shows at the end")
        blocks = [_header(self.trace), *_setup(self.trace)]
        clients_first = sorted(self.sessions.values(), key=lambda session: session.name in {_CLOCK, _OBSERVER})
        blocks += [self._session(session) for session in clients_first if session.steps]
        names = "\n".join(f"  {step.name}" for step in self.order)
        return "\n\n".join([*blocks, f"permutation\n{names}"]) + "\n"

    def _session(self, session: _Session) -> str:
        victims = {event.victim for event in self.items if isinstance(event, Deadlocked)}
        lines = [f"# {session.comment}", f"session {session.name}"]
        if victims and session.name not in {_CLOCK, _OBSERVER}:
            victim = any(self.current.get(name) is session for name in victims)
            lines.append(f"setup {{ {_DEADLOCK_SETUP[victim]} }}")
        if session.name == _CLOCK:
            lines.append("setup { SET session_replication_role = replica; }  # no triggers: nobody wrote anything")
        steps = {step.name: step for step in session.steps}
        return "\n".join(lines + [_block(step) for step in steps.values()])

    # -- sessions and steps ----------------------------------------------------------------------------------------

    def _named(self, name: str, comment: str) -> _Session:
        return self.sessions.setdefault(name, _Session(name=name, comment=comment))

    def _of(self, client: str) -> _Session:
        """The client's present session."""
        if client not in self.current:
            self.current[client] = self._named(client.lower(), f"client {client}")
        return self.current[client]

    def _add(self, session: _Session, what: str, statements: list[str], *, comment: str, call: int = 0) -> _Step:
        """A new step at the end of the order."""
        stem = name = f"{session.name}_{what}"
        for number in range(2, len(self.order) + 3):
            if name not in self.names:
                break
            name = f"{stem}_{number}"
        self.names.add(name)
        step = _Step(name=name, comment=comment, call=call, statements=statements)
        session.steps.append(step)
        self.order.append(step)
        return step

    def _continued(self, session: _Session, call: int) -> _Step | None:
        """The step that the next statement of a call can join, because nothing has come in between; else None."""
        last = self.order[-1] if self.order else None
        joins = last is not None and session.steps[-1:] == [last] and last.call == call and not last.sealed
        return last if joins else None

    # -- one method a kind of item ---------------------------------------------------------------------------------

    def _invoked(self, event: Invoked) -> None:
        self.calls[event.call] = event
        self.given |= {str(value) for value in event.arguments.values()}

    def _unit(self, unit: _Unit) -> None:
        ran, session = unit.ran, self._of(unit.ran.client)
        call = self.calls[ran.call]
        statements = [self._literal(ran)]
        level = self.trace.schema.isolation.get(call.operation)
        alone = not unit.waited and self._next_is_commit(ran)
        opens = not session.open and (ran.open or level is not None) and (level is not None or not alone)
        if opens:
            statements.insert(0, f"BEGIN ISOLATION LEVEL {level.upper()};" if level else "BEGIN;")
        step = self._continued(session, ran.call)
        if step is None:
            comment = f"step {unit.sent}: {call.operation} {call.job or ''}".rstrip()
            step = self._add(session, call.operation, [], comment=comment, call=ran.call)
        step.statements += statements
        step.sealed = unit.waited or ran.error is not None
        session.open = session.open or opens
        if session.open and not ran.open and not alone:
            self._close(session, ran)

    def _close(self, session: _Session, ran: Ran) -> None:
        """End a transaction: after this unit none is open, and one was open before."""
        session.open = False
        if ran.error is not None:
            self._add(session, "rollback", ["ROLLBACK;"], comment=f"step {ran.step}: the transaction is rolled back")
        elif ran.tag not in {"ROLLBACK", "COMMIT"}:
            session.steps[-1].statements.append("COMMIT;")

    def _next_is_commit(self, ran: Ran) -> bool:
        following = self.items[self.position + 1 : self.position + 2]
        return any(isinstance(item, Committed) and item.call == ran.call for item in following)

    def _literal(self, ran: Ran) -> str:
        parameters = [values_back(value, self.trace.names) for value in ran.parameters]
        for number, value in enumerate(parameters, 1):
            if isinstance(value, str) and _DRAWN.fullmatch(value) and value not in self.given:
                reason = f"${number} of step {ran.step} is {value!r}, and the database will draw another next time"
                raise NotInSqlError(reason)
        try:
            return terminated(inline(tidied(ran.sql), parameters))
        except IndexError:
            reason = f"a parameter of step {ran.step} is not on record"
            raise NotInSqlError(reason) from None

    def _committed(self, event: Committed) -> None:
        session = self._of(event.client)
        if not session.open:
            return
        session.open = False
        step = self._continued(session, event.call)
        if step is not None:
            step.statements.append("COMMIT;")
        else:
            self._add(session, "commit", ["COMMIT;"], comment=f"step {event.step}: its COMMIT goes through")

    def _ended(self, event: Ended) -> None:
        session = self._of(event.client)
        statements = ["ROLLBACK;"] if session.open else []
        if self._locks_advisory():
            statements.append("SELECT pg_advisory_unlock_all();")
        what = "crash" if event.crashed else "cut"
        if statements:
            self._add(session, what, statements, comment=f"step {event.step}: the session ends ({what})")
        session.open = False
        numbers = (f"{event.client.lower()}_{number}" for number in range(2, len(self.sessions) + 3))
        name = next(name for name in numbers if name not in self.sessions)
        self.current[event.client] = _Session(name=name, comment=f"client {event.client} after its {what}")

    def _locks_advisory(self) -> bool:
        texts = [sql for _, sql in self.trace.schema.setup] + [
            item.ran.sql for item in self.items if isinstance(item, _Unit)
        ]
        return any("advisory" in text.lower() for text in texts)

    def _advanced(self, event: Advanced) -> None:
        if not event.seconds:
            return
        if any(session.open for session in self.sessions.values()):
            reason = f"time moves in step {event.step} while a transaction is open"
            raise NotInSqlError(reason)
        stamped = self.trace.schema.timestamps.items()
        statements = [_earlier(table, columns, event.seconds) for table, columns in stamped]
        if statements:
            session = self._named(_CLOCK, "the clock: to move every time on record back is to let time pass")
            self._add(session, "advance", statements, comment=f"step {event.step}: {event.seconds:g} s pass")

    def _observed(self, event: Observed) -> None:
        enqueued = all(self.calls[call].operation == ENQUEUE.name for call in event.by)
        if event.step and not self.draining and not enqueued:
            self._observe("what the database shows")

    def _observe(self, comment: str) -> None:
        """Add an observation of the queue, unless the last step is one."""
        session = self._named(_OBSERVER, "looks, and changes nothing")
        if session.steps and self.order[-1] is session.steps[-1]:
            return
        queries = [terminated(tidied(sql)) for sql in self.trace.schema.observe.values()]
        if session.steps:
            self.order.append(session.steps[0])
        else:
            self._add(session, "look", queries, comment=comment)

    def _draining(self, event: Draining) -> None:
        self.draining = not event.over

    def _restarted(self, event: Restarted) -> None:
        reason = f"the server is killed in step {event.step}"
        raise NotInSqlError(reason)

    def _connected(self, event: Connected) -> None:
        session = self.current.get(event.client)
        if session is not None:
            self.sessions.setdefault(session.name, session)

    def _silent(self, event: Event) -> None:
        """Add nothing, because a session sends nothing for this event."""


_WRITE: Mapping[type[Any], Callable[[_Writer, Any], None]] = {
    Invoked: _Writer._invoked,
    _Unit: _Writer._unit,
    Committed: _Writer._committed,
    Ended: _Writer._ended,
    Advanced: _Writer._advanced,
    Observed: _Writer._observed,
    Draining: _Writer._draining,
    Restarted: _Writer._restarted,
    Connected: _Writer._connected,
    Deadlocked: _Writer._silent,
    Returned: _Writer._silent,
}


def _header(trace: Trace) -> str:
    says = f"{trace.anomaly} in {trace.name}, which promises {trace.promise}: {PROMISES[trace.promise].says}."
    lines = [
        *textwrap.wrap(says, 116),
        *(line for sentence in trace.explanation for line in textwrap.wrap(sentence, 116)),
        "",
        f"Found by pgqmodel {trace.version} on Postgres {trace.postgres}. Run it as a superuser in an empty database;",
        "there is no teardown, so drop the database afterwards:",
        "  createdb scratch",
        '  isolationtester "dbname=scratch" < repro.spec',
        "  dropdb scratch",
    ]
    return "\n".join(f"# {line}".rstrip() for line in lines)


def _setup(trace: Trace) -> Iterable[str]:
    for label, sql in trace.schema.setup:
        yield f"# {label}\nsetup\n{{\n{without_braces(sql.strip())}\n}}"


def _block(step: _Step) -> str:
    statements = [without_braces(statement) for statement in step.statements]
    line = " ".join(statements)
    short = "\n" not in line and len(line) < _LINE_MAX
    text = f" {line} " if short else "\n" + "\n".join(indented(statement, "  ") for statement in statements) + "\n"
    return f"# {step.comment}\nstep {step.name} {{{text}}}"


def _earlier(table: str, columns: Iterable[str], seconds: float) -> str:
    names = [column if re.fullmatch(r"[a-z_][a-z0-9_]*", column) else f'"{column}"' for column in columns]
    moved = ", ".join(f"{name} = {name} - interval '{seconds:g} s'" for name in names)
    return f"UPDATE {table} SET {moved};"
