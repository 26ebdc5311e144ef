"""The state machine of one gated connection: bytes and decisions in, bytes and states out. Pure.

Why. To control an interleaving, the gate has to hold two moments of every statement: the moment at which it takes its
snapshot and its locks, and the moment at which its effects become visible to others. A proxy sees only the first: for
an autocommit statement the server runs and commits at once. So the session puts such a statement inside a transaction
of ours, and sends in one write

    BEGIN  unit  SELECT pg_current_xact_id_if_assigned()

The client's messages are gathered to units first: a simple Query, or an extended cycle through Sync. A unit waits until
it is released. When it has run, the transaction's id says what is left to decide. With an id, the unit has written
something, and its COMMIT is held as a decision of its own. Without one, a commit publishes nothing, and it follows at
once; to hold it would only double the choices. A unit that failed is rolled back.

Invariants:

- The client cannot tell the difference. Its answer is withheld until COMMIT or ROLLBACK has been answered, and it then
  gets the tags and the status that it would have had without the gate. An error of the COMMIT takes the place of the
  unit's tag.
- Only a statement that Postgres would run in a transaction of its own is split (`sql` decides that). A client that has
  opened a transaction keeps it, and its own COMMIT is its unit.
- A plain BEGIN is answered by the session and rides with the next statement. Alone it has no effect that another
  session could see, so a choice about it would say nothing.
- A SELECT that takes an advisory lock for each row it finds is let through in two parts. Postgres takes the snapshot at
  the Bind and runs the statement at the Execute, so others can commit between the two, as they can in production while
  the statement looks for a row: it then locks what is no longer there to be locked. A simple Query is sent as the
  extended messages that mean the same, and the replies to those that its client did not send are kept from it.
- The server answers in the order of the requests. `server_answers` keeps a queue of the answers that are awaited.
- After an error in an extended cycle the server sends no replies until Sync, so the parts up to there await none.

The protocol is the one in the manual of PostgreSQL, part "Frontend/Backend Protocol". Keeping the protocol free of
sockets is the way of h11 and of other sans-I/O libraries: every case can be tested by its bytes.
"""

from __future__ import annotations

from attrs import define, evolve, field

from pgqmodel.wire.messages import (
    CANCEL_REQUEST,
    CUT_SHORT,
    ENCRYPTION_REQUESTS,
    SYNC,
    Framer,
    Message,
    cut_short,
    described,
    halve,
    query,
    ready_for_query,
)
from pgqmodel.wire.server_answers import PROBE, Answers, Phase
from pgqmodel.wire.sql import StatementKind, kind, locks_what_it_reads, opens
from pgqmodel.wire.units import LineState, Unit

__all__ = ["LineState", "Session", "Unit"]


_BEGIN = query("BEGIN")
_ENDS_UNIT = frozenset(b"QSFH")
_PASSES = frozenset(b"dcfp")  # COPY's data, and passwords
_REPLY_ENDS = {ord("P"): b"1", ord("B"): b"2", ord("C"): b"3", ord("D"): b"Tn", ord("E"): b"CIs"}


@define(kw_only=True)
class Session(Answers):
    """One connection's state: `to_server` and `to_client` gather the bytes that are to be sent."""

    cancel: bytes | None = None
    """A CancelRequest that this connection turned out to be."""
    terminated: bool = False
    listening: bool = False
    _cycle: list[Message] = field(factory=list)
    _part: Unit | None = None
    """The latest part of a cycle that has not come to its Sync."""
    _deferred: bytes = b""
    _client: Framer = field(init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._client = Framer(self.name, client=True)

    # -- from the client -------------------------------------------------------------------------------------------

    def client_bytes(self, data: bytes) -> None:
        """Take in bytes from the client; WireError if they break the protocol."""
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
            return  # A bare Flush can be dropped: every unanswered unit waits here and has a Flush or Sync.
        self._cycle.append(message)
        if message.type in _ENDS_UNIT:
            cycle, self._cycle = self._cycle, []
            unit = self._unit(cycle)
            if self._defers() and unit.raw[0] == ord("Q") and opens(unit.sql):
                self._deferred = unit.raw
                self.status = "T"
                self.to_client += b"C\x00\x00\x00\x0aBEGIN\x00" + ready_for_query("T")
            else:
                self._units += self._parts(unit, cycle)

    def _defers(self) -> bool:
        """Whether a plain BEGIN may wait for the next statement: alone it has no effect that others could see."""
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
            describes=described(messages),
        )
        if self._part is not None and not sql:
            # A bare Sync commits the work of the cycle's earlier parts, so it is told with their SQL.
            unit = evolve(unit, kind=self._part.kind, sql=self._part.sql, parameters=self._part.parameters)
        self._part = unit if flushed else None
        return unit

    def _parts(self, unit: Unit, messages: list[Message]) -> tuple[Unit, ...]:
        """The unit; in two parts, if what it locks depends on its snapshot: the first takes that, at the Bind."""
        halves = halve(messages) if self.split_commits and locks_what_it_reads(unit.sql) else None
        if halves is None:
            return (unit,)
        first, rest = halves
        is_query = messages[0].type == ord("Q")
        replies = 2 if is_query else sum(message.type in b"PB" for message in messages)
        before = evolve(unit, raw=first, replies=replies, is_snapshot=True, is_answered=not is_query)
        return before, evolve(unit, raw=rest)

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
        self.to_server += before + unit.raw + (PROBE if self._split else b"")
        self._phases += (Phase.BEGIN, Phase.BODY, Phase.PROBE)[not before : 2 + self._split]
        self._deferred = b""
        self.state = LineState.RUNNING
        if self._failed and unit.replies is not None:
            self._phases.pop()
            self._done(None)
        self._failed = self._failed and unit.replies is not None

    def fence(self) -> None:
        """Send an idle connection a Sync: notifications from before it arrive before its answer."""
        self.to_server += SYNC
        self._phases.append(Phase.FENCE)
        self.state = LineState.RUNNING

    def deliver(self) -> None:
        """Hand over the oldest notification that waits."""
        self.to_client += self.notifications.popleft()

    def close(self) -> None:
        """Mark the connection as closed."""
        self.state = LineState.CLOSED
