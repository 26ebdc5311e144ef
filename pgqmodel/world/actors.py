"""The programs of a world: worker processes that we did not write, each behind a door of its own and on our clock.

A program is started, stopped, killed; what it does meanwhile is seen at the gate alone. Each start is a new life: a new
page of time, new random values of the story's seed, new connections from number 1.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from pgqmodel.body import body_of
from pgqmodel.clock import Deadline, ProcessClock, put_shim
from pgqmodel.clock.stillness import wait_still
from pgqmodel.clock.uncontrolled import uncontrolled
from pgqmodel.errors import TargetError
from pgqmodel.wire import LineState
from pgqmodel.wire.line import Line
from pgqmodel.world.launching import ForkServer, Launch, Process, has_ended, launch, said
from pgqmodel.world.started_ahead import StartedAhead

if TYPE_CHECKING:
    from pgqmodel.server import Database
    from pgqmodel.target import Command
    from pgqmodel.wire.proxy import Gate

__all__ = ["Actor", "Line", "Troupe", "bodies", "troupe"]

GUARD_SECONDS = 30.0
"""The real time after which a program that does not come to rest is an error."""
_PROCESS_ID = 5_000_000
"""The process ids that programs see begin here: beyond every real one."""
_LIVES_AHEAD = 2
"""The first lives of a program are started ahead: a story seldom needs more."""
_SLACK_US, _SLACK_US_MAX = 1_000, 1_000_000


@define(kw_only=True, eq=False)
class Actor:
    """One worker program: its process and clock while it lives, and what it has shown of itself."""

    name: str
    process: Process | None = None
    clock: ProcessClock | None = None
    host: str = ""
    """The directory of its socket at the gate."""
    output: Path = Path(os.devnull)
    """The file with what it writes in this life."""
    stopped: bool = False
    lives: int = 0
    """How often it was started in this story."""
    claims: dict[str, int] = field(factory=dict)
    """The claims of this life: for each job the call that took it."""
    ran: set[str] = field(factory=set)
    """The jobs whose bodies it has begun in this life."""
    claiming: set[str] = field(factory=set)
    """The statements that have claimed jobs and committed by themselves, in this life."""
    working: dict[str, str] = field(factory=dict)
    """The bodies that it runs: the job for each line."""
    idle: dict[int, int] = field(factory=dict)
    """For each thread, how often in a row it was woken and sent nothing."""

    @property
    def alive(self) -> bool:
        """Whether its process has been started and has not been found dead."""
        return self.process is not None

    def slack_us(self, thread: int) -> int:
        """By how much a thread is woken after its deadline: the more, the oftener it did nothing when it was woken."""
        return min(_SLACK_US << min(self.idle.get(thread, 0), 20), _SLACK_US_MAX) - _SLACK_US

    @property
    def acts(self) -> bool:
        """Whether it is alive and not stopped."""
        return self.alive and not self.stopped


@frozen(kw_only=True)
class Alarm:
    """A wait of a thread that ends by the clock, and when it is ended: at its deadline or somewhat later."""

    us: int
    actor: Actor
    deadline: Deadline


@define(kw_only=True)
class Troupe:
    """All programs of a world. `directory` is for their pages and output, `library` is the shim."""

    command: Command
    directory: Path
    library: Path
    variables: Mapping[str, str]
    """What tells a program where the database is, apart from the host."""
    gate: Gate
    forks: ForkServer | None = None
    ahead: StartedAhead | None = None
    turns: dict[tuple[str, int], int] = field(factory=dict)
    """For each life of each program, which of its two sets of files it had last."""
    actors: dict[str, Actor] = field(factory=dict)
    seed: int = 0
    checked: bool = False
    """Whether a program has been started and found to be under our clock."""

    def enter(self, names: Sequence[str], seed: int) -> None:
        """A story begins, with programs of these names, none of which is started."""
        self.actors = {name: Actor(name=name) for name in names}
        if self.ahead is not None and seed != self.seed:
            self.ahead.close()  # they have random values of the old seed
        self.seed = seed

    # -- life and death --------------------------------------------------------------------------------------------

    def start(self, actor: Actor, now_us: int) -> None:
        """Start a program; it runs until it waits for the gate or for the time."""
        actor.lives += 1
        actor.host = self.gate.listen(actor.name, most=self.command.most)
        if self.ahead is not None:
            process, clock, given = self.ahead.start(actor.name, actor.lives, now_us)
            self.ahead.begin([(actor.name, 1), (actor.name, min(actor.lives + 1, _LIVES_AHEAD))])
        else:
            given, clock = self.prepare(actor.name, actor.lives)
            clock.set_now(now_us)
            process = self.forks.launch(given) if self.forks is not None else launch(self.command, given)
        actor.process, actor.clock, actor.output, actor.stopped = process, clock, given.output, False
        actor.claims, actor.ran, actor.claiming, actor.working, actor.idle = {}, set(), set(), {}, {}

    def prepare(self, name: str, life: int) -> tuple[Launch, ProcessClock]:
        """The clock and the surroundings of one life of a program.

        The file names take turns: the same life of the next story may begin before this one is over.
        """
        self.turns[name, life] = turn = 1 - self.turns.get((name, life), 1)
        file = f"{name}-{life}-{turn}"
        place = list(self.actors).index(name)
        clock = ProcessClock.make(
            self.directory,
            self.library,
            name=file,
            seed=self._seed(name, life),
            process_id=_PROCESS_ID + 1000 * place + life,
        )
        host = self.actors[name].host
        address = {**self.variables, "PGHOST": host, "PGAPPNAME": name, "DATABASE_URL": self._url(host)}
        environment = {**_inherited(), **address, **self.command.environment, **clock.environment}
        output = self.directory / f"{file}.output"
        return Launch(environment={**environment, "PGQMODEL_WORKER": name}, page=clock.file, output=output), clock

    def _seed(self, name: str, life: int) -> int:
        """The seed of one life of a program. With the same one two workers would draw the same identifier."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{name}/{life}".encode()).digest()[:8], "big")

    def _url(self, host: str) -> str:
        user, name = self.variables["PGUSER"], self.variables["PGDATABASE"]
        return f"postgresql://{user}@/{name}?host={host}&port={self.variables['PGPORT']}"

    def signal(self, actor: Actor, number: int) -> None:
        """Send a signal to a program and its children."""
        if actor.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(actor.process.pid, number)

    def kill(self, actor: Actor) -> None:
        """Kill a program, and wait for its death; `dead` names it from then on."""
        self.signal(actor, signal.SIGKILL)
        if actor.process is not None:
            actor.process.wait()

    def bury(self, actor: Actor) -> None:
        """A program is dead: wait for its process, and forget its clock."""
        self.kill(actor)
        if actor.clock is not None:
            actor.clock.close()
        actor.process = actor.clock = None
        actor.stopped = False

    def dead(self) -> list[Actor]:
        """The programs that have ended by themselves, or by a signal, and are not buried yet."""
        return [each for each in self.actors.values() if each.process is not None and has_ended(each.process)]

    def close(self) -> None:
        """Kill all programs."""
        for actor in self.actors.values():
            self.bury(actor)

    # -- rest ------------------------------------------------------------------------------------------------------

    async def rest(self) -> None:
        """Wait until no program moves; StuckError if one does for too long."""
        clocks = {
            actor.process.pid: actor.clock
            for actor in self.actors.values()
            if actor.process is not None and actor.clock is not None
        }
        if clocks:
            await wait_still(clocks, guard_seconds=GUARD_SECONDS)

    def set_now(self, now_us: int) -> None:
        """Set the clocks of all programs; none of them may be moving."""
        for actor in self.actors.values():
            if actor.clock is not None:
                actor.clock.set_now(now_us)

    def next_alarm(self) -> Alarm | None:
        """The first moment at which a thread of a program that is not stopped wants to be woken."""
        alarms = [
            Alarm(us=deadline.us + actor.slack_us(deadline.thread), actor=actor, deadline=deadline)
            for actor in self.actors.values()
            if actor.acts and actor.clock is not None
            for deadline in actor.clock.deadlines()
        ]
        return min(alarms, key=lambda alarm: (alarm.us, alarm.actor.name, alarm.deadline), default=None)

    def wake(self, alarm: Alarm) -> None:
        """Wake a thread."""
        if alarm.actor.clock is not None:
            alarm.actor.clock.wake(alarm.deadline.thread, alarm.deadline.sequence)

    # -- what is wrong ---------------------------------------------------------------------------------------------

    def check_start(self, actor: Actor) -> None:
        """Refuse a program whose first start ends before its first statement, or that our clock does not reach."""
        if self.checked:
            return
        if actor.process is None or actor.clock is None:
            self._refuse(
                "a program that ended before its first statement",
                "one that connects to the database in DATABASE_URL and asks for jobs",
                f"start it by hand to see why. The end of its output: {said(actor.output)}",
            )
        else:
            reasons = uncontrolled(actor.process.pid, actor.clock, [f"{actor.host}/.s.PGSQL.5432"])
            if reasons:
                self._refuse("; ".join(reasons), "a program whose time and chance are ours", "run it in another way")
        self.checked = True

    def _refuse(self, found: str, expected: str, remedy: str) -> None:
        message = f"worker.command {' '.join(self.command.words)}: found {found}; expected {expected}. {remedy}"
        raise TargetError(message)


@contextlib.contextmanager
def troupe(command: Command, gate: Gate, database: Database) -> Iterator[Troupe]:
    """The programs of a world; at its end all of them are dead, and their files are gone.

    TargetError if there is no shim for this machine: without one their time is not ours.
    """
    parts = database.address
    variables = {"PGUSER": parts["user"], "PGDATABASE": parts["dbname"], "PGPORT": "5432", "PGSSLMODE": "disable"}
    with tempfile.TemporaryDirectory(prefix="programs-") as directory:
        library = Path(directory) / "shim.so"
        if not put_shim(library):
            message = "worker.command: found a machine for which there is no clock; expected Linux on x86-64 or ARM64"
            raise TargetError(message)
        server = ForkServer(command=command, library=library, output=Path(directory) / "preload.output")
        made = Troupe(
            command=command,
            directory=Path(directory),
            library=library,
            variables=variables,
            gate=gate,
            forks=server if command.preload and not command.is_node else None,
        )
        made.ahead = StartedAhead(command=command, prepare=made.prepare) if command.is_node else None
        try:
            yield made
        finally:
            made.close()
            server.close()
            if made.ahead is not None:
                made.ahead.close()


def bodies(lines: Sequence[Line]) -> dict[str, str]:
    """The bodies of jobs that lines hold: the job's identifier for each line's name."""
    held = [(line.name, line.unit) for line in lines if line.state is LineState.HELD and line.unit is not None]
    found = {name: body_of(unit.sql, unit.parameters) for name, unit in held}
    return {name: job for name, job in found.items() if job is not None}


def _inherited() -> dict[str, str]:
    """Our own environment, without what would lead a program elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LD_", "DATABASE_URL"))}
    return {**kept, "PYTHONHASHSEED": "0", "UV_THREADPOOL_SIZE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
