"""The rules for faults: connections are cut, workers die or come back late, the server restarts.

They stand in a base class of the machine. Hypothesis sorts a machine's rules by their names, not by their classes, so
moving a rule to another class changes no story.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import rule

from pgqmodel.machine.drawing import COMING_BACK, FATE, HALF, HALFWAY, LATE, PICK, STOP, pick
from pgqmodel.machine.vocabulary import Vocabulary, when
from pgqmodel.operations import CANCEL, CLAIM, COMPLETE, DEPLOY, LOCK, State
from pgqmodel.steps import Advance, Begin, Connect, Crash, Cut, Fate, Restart, Twin

__all__ = ["FaultRules"]


class FaultRules(Vocabulary):
    """The rules for faults, and for clients that go on after a fault as if nothing had happened."""

    coming_back: ClassVar[Sequence[str]] = COMING_BACK
    """The operations with which a worker goes on when it comes back late."""

    def __init__(self) -> None:
        super().__init__()
        self.restarts_left = 0

    def come_back(self, late: int, who: int) -> None:
        """A worker goes on with the job it believes to hold; mistaken workers are preferred. `late` 0: no worker does.

        After a heartbeat, a log line or a deploy it goes on to the next operation, as a worker does.
        """
        able = self.outdated() or [client for client in self.world.clients.values() if client.idle and client.belief]
        client = pick(able, who) if able and late else None
        for turn in range(2):
            operations = [name for name in self.coming_back if client in self.can(name)]
            if client is not None and operations:
                self.take(Begin(client=client.name, operation=pick(operations, late - 1 + turn)))

    @when(lambda self: self.outdated())
    @rule(late=LATE, who=PICK)
    def insist(self, late: int, who: int) -> None:
        """A worker that has lost its job goes on as if it had not."""
        self.come_back(late + 1, who)

    @when(lambda self: self.contended() and self.can(CANCEL.name))
    @rule(which=PICK, stop=STOP)
    def meddle(self, which: int, stop: int) -> None:
        """A producer cancels a job that a call in flight is about to change."""
        self.begin(CANCEL.name, 0, stop, job=pick(self.contended(), which))

    @when(lambda self: "cut" in self.faults and self.severable())
    @rule(who=PICK, fate=FATE, back=st.booleans(), late=LATE)
    def cut(self, who: int, fate: Fate, back: bool, late: int) -> None:
        """A connection is cut; the client lives on, and may connect again at once and go on."""
        client = pick(self.severable(), who)
        self.take(Cut(client=client.name, fate=fate if client.call else Fate.BEFORE))
        if back:
            self.take(Connect(client=client.name))
            self.come_back(late, who)

    @when(lambda self: "cut" in self.faults and self.settling())
    @rule(who=PICK, how=PICK, stop=HALFWAY)
    def repeat(self, who: int, how: int, stop: int) -> None:
        """A settlement's answer is lost; another worker goes on with the job, and the first worker asks again.

        If the job comes back only after a delay, the delay passes first. In half of these stories the other worker
        completes the job.
        """
        operation = pick(self.settling(), how)
        client = pick(self.can(operation), who)
        self.take(Begin(client=client.name, operation=operation, stop=stop))
        if client in self.world.waiting():
            self.take(Cut(client=client.name, fate=Fate.AFTER))
            self.take(Connect(client=client.name))
        delay = self.delay() if self.time_may_pass() else 0.0
        if delay:
            self.take(Advance(seconds=delay))
        if self.has(State.PENDING) and self.can(CLAIM.name):
            self.begin(CLAIM.name, who, 0)
        heirs = [other for other in self.can(COMPLETE.name) if other is not client]
        if delay and how >= HALF and heirs:
            self.take(Begin(client=pick(heirs, who).name, operation=COMPLETE.name))
        if client in self.can(operation):
            self.take(Begin(client=client.name, operation=operation))

    @when(lambda self: "cut" in self.faults and self.lock_holders())
    @rule(who=PICK)
    def interrupt(self, who: int) -> None:
        """The session that holds a deploy lock is cut, another worker asks for the lock, and the old holder deploys."""
        client = pick(self.lock_holders(), who)
        self.take(Cut(client=client.name))
        self.take(Connect(client=client.name))
        for operation in (LOCK.name, DEPLOY.name):
            able = [other for other in self.can(operation) if (other is client) == (operation == DEPLOY.name)]
            if able:
                self.take(Begin(client=able[0].name, operation=operation))

    @when(lambda self: "crash" in self.faults and self.crashable())
    @rule(who=PICK, fate=FATE)
    def crash(self, who: int, fate: Fate) -> None:
        """A worker dies and is started again."""
        client = pick(self.crashable(), who)
        self.take(Crash(client=client.name, fate=fate if client.call else Fate.BEFORE))

    @when(lambda self: "twin" in self.faults and self.twinnable())
    @rule(who=PICK)
    def twin(self, who: int) -> None:
        """A second worker is started under the name of one that was only slow."""
        self.take(Twin(client=pick(self.twinnable(), who).name))

    @when(lambda self: self.able(Connect))
    @rule(who=PICK)
    def reconnect(self, who: int) -> None:
        """A client that lost its connection connects again."""
        self.take(Connect(client=pick(self.able(Connect), who).name))

    @when(lambda self: self.restarts_left and self.world.enqueued)
    @rule()
    def restart(self) -> None:
        """The server is killed and recovers."""
        self.restarts_left -= 1
        self.take(Restart())
