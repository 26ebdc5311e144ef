"""The state machine of one gated connection: bytes and decisions in, bytes and states out. Pure.

A client's messages are gathered to units (a simple Query, an extended cycle through Sync); a unit waits until it is
released. A unit that may be split runs inside a transaction of ours,

    BEGIN  unit  SELECT pg_current_xact_id_if_assigned()

in one write, its answer withheld; if it got a transaction id, its COMMIT is a decision of its own, else there is
nothing that a commit could publish, and it follows at once. The client sees tags and status as if nothing had been
added.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from attrs import define, evolve, field

from pgqmodel.wire.messages import (
    CANCEL_REQUEST,
    CUT_SHORT,
    ENCRYPTION_REQUESTS,
    SYNC,
    Framer,
    Message,
    Prepared,
    cut_short,
    error_fields,
    first_column,
    query,
    ready_for_query,
)
from pgqmodel.wire.sql import StatementKind, kind, opens

__all__ = ["LineState", "Session", "Unit"]


class LineState(StrEnum):
    """Where a connection stands."""

    STARTING = "starting"
    IDLE = "idle"
    HELD = "held"
    RUNNING = "running"
    COMMIT_HELD = "commit held"
    CLOSED = "closed"


@define(kw_only=True)  # not frozen: what comes of it is filled in, for every statement that goes through the gate
class Unit:
    """One unit: what the client sent, and, once it ran, what came of it."""

    kind: StatementKind
    sql: str
    parameters: tuple[Any, ...] = ()
    raw: bytes = b""
    replies: int | None = None
    """For a part that ends in Flush: how many replies end it; None for one that ends in ReadyForQuery."""
    runs: bool = True
    tag: str = ""
    error: str | None = None
    open: bool = False
    committed: bool = False
    is_commit: bool = False

    @property
    def free(self) -> bool:
        """Whether it needs no choice: it touches nothing that another session could see."""
        return not self.runs or self.kind is StatementKind.SESSION


class _Phase(StrEnum):
    """Which answer of the server is being read."""

    BEGIN = "begin"
    BODY = "body"
    PROBE = "probe"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    FENCE = "fence"


_BEGIN, _COMMIT, _ROLLBACK = query("BEGIN"), query("COMMIT"), query("ROLLBACK")
_PROBE = query("SELECT pg_catalog.pg_current_xact_id_if_assigned()")
_ENDS_UNIT = frozenset(b"QSFH")
_PASSES = frozenset(b"dcfp")  # COPY's data, and passwords
_REPLY_ENDS = {ord("P"): b"1", ord("B"): b"2", ord("C"): b"3", ord("D"): b"Tn", ord("E"): b"CIs"}


@define(kw_only=True)
class Session:
    """One connection's state; `to_server` and `to_client` gather what is to be sent."""

    name: str
    split_commits: bool = True
    to_server: bytearray = field(factory=bytearray)
    to_client: bytearray = field(factory=bytearray)
    state: LineState = LineState.STARTING
    status: str = "I"
    key: bytes = b""
    """What a cancel request calls this session: its backend's pid and a secret."""
    cancel: bytes | None = None
    """A CancelRequest that this connection turned out to be."""
    terminated: bool = False
    muted: bool = False
    """The client is gone: what is released runs to its commit, and no answer is kept."""
    listening: bool = False
    notifications: deque[bytes] = field(factory=deque)
    ran: list[Unit] = field(factory=list)
    _units: deque[Unit] = field(factory=deque)
    _cycle: list[Message] = field(factory=list)
    _prepared: Prepared = field(factory=Prepared)
    _part: Unit | None = None
    """The last part of a cycle that is not at its Sync yet."""
    _failed: bool = False
    """A part has failed: to what follows it up to the Sync the server says nothing."""
    asks: bool = False
    """The server waits for COPY's data: it is the client's turn."""
    _sync_follows: bool = False
    _phases: deque[_Phase] = field(factory=deque)
    _answer: list[bytes] = field(factory=list)
    _running: Unit | None = None
    _split: bool = False
    _deferred: bytes = b""
    _opened: bool = False
    """A part that ended in Flush has begun a transaction of ours, which the cycle's Sync part goes on with."""
    _client: Framer = field(init=False)
    _server: Framer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._client = Framer(self.name, client=True)
        self._server = Framer(self.name, client=False)

    @property
    def unit(self) -> Unit | None:
        """The unit that waits or runs."""
        return self._running or (self._units[0] if self._units else None)

    @property
    def backend_pid(self) -> int:
        """The process that serves it; 0 as long as there is none."""
        return int.from_bytes(self.key[:4], "big")

    # -- from the client -------------------------------------------------------------------------------------------

    def client_bytes(self, data: bytes) -> None:
        """Take in what the client sent; WireError for what is not the protocol."""
        try:
            for message in self._client.feed(data):
                self._take_client(message)
        except CUT_SHORT as error:
            raise cut_short(self.name, "client") from error
        if self.state in {LineState.IDLE, LineState.HELD}:
            self._rest()

    def _take_client(self, message: Message) -> None:
        if not message.type:
            self._startup(message)
        elif message.type == ord("X"):
            self.terminated = True
        elif message.type in _PASSES or (self._sync_follows and message.type == ord("S")):
            self.to_server += message.raw
            self.asks = self.asks and message.type not in b"cf"
        else:
            self._gather(message)

    def _startup(self, message: Message) -> None:
        if message.code in ENCRYPTION_REQUESTS:
            self.to_client += b"N"
        elif message.code == CANCEL_REQUEST:
            self.cancel = message.raw
        else:
            self._client.untyped = False
            self.to_server += message.raw

    def _gather(self, message: Message) -> None:
        if message.type == ord("H") and not self._cycle:
            return  # Nothing is unanswered but what waits here, and that ends in a Flush or a Sync of its own.
        self._cycle.append(message)
        if message.type in _ENDS_UNIT:
            unit = self._unit(self._cycle)
            self._cycle = []
            if self._defers() and unit.raw[0] == ord("Q") and opens(unit.sql):
                self._deferred = unit.raw
                self.status = "T"
                self.to_client += b"C\x00\x00\x00\x0aBEGIN\x00" + ready_for_query("T")
            else:
                self._units.append(unit)

    def _defers(self) -> bool:
        """A plain BEGIN rides with the statement that follows it: alone it does nothing that anybody could see."""
        return self.split_commits and self.status == "I" and not self._units and self._running is None

    def _unit(self, messages: list[Message]) -> Unit:
        sql, parameters = self._prepared.read(messages)
        flushed = messages[-1].type == ord("H")
        self.listening = self.listening or sql.lstrip().lower().startswith("listen")
        unit = Unit(
            kind=StatementKind.WHOLE if messages[-1].type == ord("F") else kind(sql),
            sql=sql,
            parameters=parameters,
            raw=b"".join(message.raw for message in messages),
            replies=sum(message.type in _REPLY_ENDS for message in messages) if flushed else None,
            runs=any(message.type in b"QEF" for message in messages),
        )
        if self._part is not None and not sql:
            # A bare Sync ends, and commits, what the cycle's earlier parts have done: it speaks for them.
            unit = evolve(unit, kind=self._part.kind, sql=self._part.sql, parameters=self._part.parameters)
        self._part = unit if flushed else None
        return unit

    def _rest(self) -> None:
        """The state between units."""
        self.state = LineState.HELD if self._units else LineState.IDLE

    # -- decisions -------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Send the unit that waits."""
        unit = self._running = self._units.popleft()
        ours = self._opened or (
            self.split_commits and self.status == "I" and not self._deferred and unit.kind is StatementKind.PLAIN
        )
        before = self._deferred or (_BEGIN if ours and not self._opened else b"")
        self._split = ours and unit.replies is None
        self._opened = ours and unit.replies is not None
        self.to_server += before + unit.raw + (_PROBE if self._split else b"")
        self._phases += (_Phase.BEGIN, _Phase.BODY, _Phase.PROBE)[not before : 2 + self._split]
        self._deferred = b""
        self.state = LineState.RUNNING
        if self._failed and unit.replies is not None:
            self._phases.pop()
            self._done(None)
        self._failed = self._failed and unit.replies is not None

    def commit(self) -> None:
        """Send the COMMIT that waits."""
        self.to_server += _COMMIT
        self._phases.append(_Phase.COMMIT)
        self.state = LineState.RUNNING

    def fence(self) -> None:
        """Ask an idle connection for a sign of life: what was notified before it arrives first."""
        self.to_server += SYNC
        self._phases.append(_Phase.FENCE)
        self.state = LineState.RUNNING

    def deliver(self) -> None:
        """Hand over the oldest notification that waits."""
        self.to_client += self.notifications.popleft()

    # -- from the server -------------------------------------------------------------------------------------------

    def server_bytes(self, data: bytes) -> None:
        """Take in what the server sent; WireError for what is not the protocol."""
        try:
            for message in self._server.feed(data):
                self._take_server(message)
        except CUT_SHORT as error:
            raise cut_short(self.name, "server") from error
        if self.muted:
            self.to_client.clear()

    def _take_server(self, message: Message) -> None:
        if message.type == ord("A"):
            self.notifications.append(message.raw)
        elif self.state is LineState.STARTING:
            self._started(message)
        elif message.type == ord("E") and error_fields(message).get("V") in {"FATAL", "PANIC"}:
            self.to_client += message.raw  # It is the last that this server says: no answer ends behind it.
        elif self._phases:
            _TAKE[self._phases[0]](self, message)
        else:
            self.to_client += message.raw

    def _started(self, message: Message) -> None:
        self.to_client += message.raw
        if message.type == ord("K"):
            self.key = message.body
        elif message.type == ord("Z"):
            self._rest()

    def _take_begin(self, message: Message) -> None:
        if message.type == ord("E"):
            self.to_client += message.raw
        elif message.type == ord("Z"):
            self._phases.popleft()

    def _take_body(self, message: Message) -> None:
        unit = self._running
        assert unit is not None
        if message.type == ord("C"):
            unit.tag = message.body.rstrip(b"\0").decode(errors="replace")
        elif message.type == ord("E"):
            unit.error = error_fields(message).get("C", "")
        elif message.type == ord("G"):
            self.asks, self._sync_follows = True, unit.raw.endswith(SYNC)
        if self._split:
            self._answer.append(message.raw)
        else:
            self.to_client += message.raw
        if unit.replies is not None:
            self._count_reply(message, unit)
        elif message.type == ord("Z"):
            self._phases.popleft()
            if not self._split:
                self.status = chr(message.raw[5])
                unit.open = self.status != "I"
                unit.committed = not unit.open and unit.error is None and not unit.tag.startswith("ROLLBACK")
                unit.is_commit = unit.kind is StatementKind.COMMIT
                self._done(unit)

    def _count_reply(self, message: Message, unit: Unit) -> None:
        """A part that ended in Flush is over with its last reply, or with an error."""
        assert unit.replies is not None
        self._failed = message.type == ord("E")
        unit.replies = 0 if self._failed else unit.replies - (message.type in b"123TnCIs")
        if unit.replies <= 0:
            self._phases.popleft()
            self._done(None)

    def _take_probe(self, message: Message) -> None:
        unit = self._running
        assert unit is not None
        if message.type == ord("D"):
            unit.open = first_column(message) is not None
        elif message.type == ord("E"):
            unit.error = unit.error or error_fields(message).get("C", "")
        elif message.type == ord("Z"):
            self._phases.popleft()
            self._decide(unit)

    def _decide(self, unit: Unit) -> None:
        """A split unit has run: roll back what failed, commit what changed nothing, hold the rest."""
        if unit.error is not None:
            self.to_server += _ROLLBACK
            self._phases.append(_Phase.ROLLBACK)
            return
        if unit.open:
            self.ran.append(evolve(unit))
            self.state = LineState.COMMIT_HELD
        if not unit.open or self.muted:
            self.commit()

    def _take_commit(self, message: Message) -> None:
        unit = self._running
        assert unit is not None
        if message.type == ord("C"):
            unit.committed = not message.body.startswith(b"ROLLBACK")
        elif message.type == ord("E"):
            self._answer = [raw for raw in self._answer if raw[0] not in b"CZ"] + [message.raw]
            unit.error, unit.committed = error_fields(message).get("C", ""), False
        elif message.type == ord("Z"):
            self._phases.popleft()
            self._answer_client()
            unit.is_commit, unit.open = unit.open, False
            self._done(unit)

    def _take_rollback(self, message: Message) -> None:
        unit = self._running
        assert unit is not None
        if message.type == ord("Z"):
            self._phases.popleft()
            self._answer_client()
            unit.open = False
            self._done(unit)

    def _take_fence(self, message: Message) -> None:
        if message.type == ord("Z"):
            self._phases.popleft()
            self._done(None)

    def _answer_client(self) -> None:
        """Give the client its withheld answer, with the status it expects."""
        self.to_client += b"".join(raw for raw in self._answer if raw[0] != ord("Z")) + ready_for_query("I")
        self._answer = []

    def _done(self, unit: Unit | None) -> None:
        if unit is not None:
            self.ran.append(unit)
        self._running = None
        self.asks = self._sync_follows = False
        self._rest()

    def close(self) -> None:
        """The connection is over."""
        self.state = LineState.CLOSED


_TAKE: dict[_Phase, Callable[[Session, Message], None]] = {
    _Phase.BEGIN: Session._take_begin,
    _Phase.BODY: Session._take_body,
    _Phase.PROBE: Session._take_probe,
    _Phase.COMMIT: Session._take_commit,
    _Phase.ROLLBACK: Session._take_rollback,
    _Phase.FENCE: Session._take_fence,
}
