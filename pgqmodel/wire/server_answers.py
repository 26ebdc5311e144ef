"""How the gate reads the server's answers to a unit: which answer comes next, and what each one decides. Pure.

The server answers in the order of the requests, so the answers that are awaited stand in a queue of phases. The answer
to a unit that runs inside a transaction of ours is withheld until its COMMIT or ROLLBACK has been answered.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum

from attrs import define, evolve, field

from pgqmodel.wire.messages import (
    CUT_SHORT,
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
from pgqmodel.wire.sql import StatementKind
from pgqmodel.wire.units import LineState, Unit

__all__ = ["PROBE", "Answers", "Phase"]

_COMMIT, _ROLLBACK = query("COMMIT"), query("ROLLBACK")
PROBE = query("SELECT pg_catalog.pg_current_xact_id_if_assigned()")
"""Asks whether the unit has changed anything: only a transaction that writes has an id."""


class Phase(StrEnum):
    """Which answer of the server is being read."""

    BEGIN = "begin"
    BODY = "body"
    PROBE = "probe"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    FENCE = "fence"


@define(kw_only=True)
class Answers:
    """The part of a connection's state that the server's answers change."""

    name: str
    split_commits: bool = True
    turns: Iterator[int] = field(factory=itertools.count)
    """Numbers the units that are done; shared by the connections of a gate."""
    to_server: bytearray = field(factory=bytearray)
    to_client: bytearray = field(factory=bytearray)
    state: LineState = LineState.STARTING
    status: str = "I"
    key: bytes = b""
    """The backend's pid and a secret: a cancel request names the session by them."""
    muted: bool = False
    """The client is gone: a released unit runs to its commit, and its answer is thrown away."""
    notifications: deque[bytes] = field(factory=deque)
    ran: list[Unit] = field(factory=list)
    asks: bool = False
    """The server waits for the data of a COPY, so the client has to move."""
    _prepared: Prepared = field(factory=Prepared)
    _units: deque[Unit] = field(factory=deque)
    _failed: bool = False
    """A part of an extended cycle has failed: the server does not answer the later parts until Sync."""
    _sync_follows: bool = False
    _phases: deque[Phase] = field(factory=deque)
    _answer: list[bytes] = field(factory=list)
    _running: Unit | None = None
    _split: bool = False
    _opened: bool = False
    """A part that ended in Flush has begun a transaction of ours, which goes on until the cycle's Sync."""
    _server: Framer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._server = Framer(self.name, client=False)

    @property
    def unit(self) -> Unit | None:
        """The unit that waits or runs."""
        return self._running or (self._units[0] if self._units else None)

    @property
    def backend_pid(self) -> int:
        """The server process that serves the connection; 0 until it is known."""
        return int.from_bytes(self.key[:4], "big")

    def _rest(self) -> None:
        """Go to the state between two units."""
        self.state = LineState.HELD if self._units else LineState.IDLE

    def commit(self) -> None:
        """Send the COMMIT that waits."""
        self.to_server += _COMMIT
        self._phases.append(Phase.COMMIT)
        self.state = LineState.RUNNING

    def server_bytes(self, data: bytes) -> None:
        """Take in bytes from the server; WireError if they break the protocol."""
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
            self.to_client += message.raw  # It is the server's last message: no ReadyForQuery follows it.
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
        elif message.type == ord("t") and unit.describes is not None:
            self._prepared.learn(unit.describes, message)
        elif message.type == ord("G"):
            self.asks, self._sync_follows = True, unit.raw.endswith(SYNC)
        if self._split:
            self._answer.append(message.raw)
        elif unit.is_answered or message.type == ord("E"):
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
            self._done(unit if unit.is_snapshot else None)

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
        """A split unit has run: roll back if it failed, commit if it changed nothing, else hold its COMMIT."""
        if unit.error is not None:
            self.to_server += _ROLLBACK
            self._phases.append(Phase.ROLLBACK)
            return
        if unit.open:
            self.ran.append(evolve(unit, turn=next(self.turns)))
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
            unit.turn = next(self.turns)
            self.ran.append(unit)
        self._running = None
        self.asks = self._sync_follows = False
        self._rest()


_TAKE: dict[Phase, Callable[[Answers, Message], None]] = {
    Phase.BEGIN: Answers._take_begin,
    Phase.BODY: Answers._take_body,
    Phase.PROBE: Answers._take_probe,
    Phase.COMMIT: Answers._take_commit,
    Phase.ROLLBACK: Answers._take_rollback,
    Phase.FENCE: Answers._take_fence,
}
