"""What the model knows: jobs as last observed, claims and who holds them, calls in flight, deploy locks, the clock.

Only values and their bookkeeping. What a difference means is said in `step`, whether it breaks a promise in `promises`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from attrs import define, evolve, field, frozen

from pgqmodel.history import Draining, Job, Observed
from pgqmodel.model.change import Call, Change, Claim
from pgqmodel.model.flights import Flights
from pgqmodel.model.holds import Hold, HoldState
from pgqmodel.model.lateness import Lateness
from pgqmodel.model.tally import Tally
from pgqmodel.operations import FINAL, LIVE, Meaning, State

if TYPE_CHECKING:
    from pgqmodel.model.recorded import Recorded

__all__ = ["Bound", "Limit", "ModelState"]

_FREE, _HELD, _LAPSED = HoldState.FREE, HoldState.HELD, HoldState.LAPSED
_COMPLETED, _PENDING, _RUNNING = State.COMPLETED, State.PENDING, State.RUNNING
_ADDED, _CLAIMED, _REWRITTEN, _SETTLED, _TAKEN, _UNDONE = (
    Meaning.ADDED,
    Meaning.CLAIMED,
    Meaning.REWRITTEN,
    Meaning.SETTLED,
    Meaning.TAKEN,
    Meaning.UNDONE,
)
_CLAIMS = frozenset({_CLAIMED, _TAKEN})

TIMEOUT_SECONDS = 30.0
TOLERANCE_SECONDS = 1e-5
"""Times are floats since the epoch: their differences are exact to less than this."""


class Limit(Protocol):
    """What a target says with `live-limit`: at most `limit` running jobs of each value of `column`."""

    @property
    def column(self) -> str:
        """The column whose values are limited."""

    @property
    def limit(self) -> int:
        """The most jobs that may run at once with the same value."""


@frozen(kw_only=True)
class Bound:
    """A limit as a recorded history has it."""

    column: str
    limit: int


@define(kw_only=True, eq=False)
class ModelState:
    """The model's state. The machine may read `jobs`, `current`, `now`; only the judge changes anything."""

    timeout_seconds: float = TIMEOUT_SECONDS
    attempts_max: int | None = None
    limit: Limit | None = None
    session_frees_locks: bool = False
    now: float = 0.0
    began: float | None = None
    """The first moment that was told; sentences count time from it."""
    step: int = 0
    instant: int = 0
    """The number of the present instant: see `instants`."""
    version: int = 0
    """Grows with every observation."""
    version_before: int = 0
    """The version when the present instant began."""
    jobs: dict[str, Job] = field(factory=dict)
    gone: dict[str, Job] = field(factory=dict)
    """Jobs whose row was removed, as they were last, with the state in which they ended."""
    pending: dict[str, Job] = field(factory=dict)
    running: dict[str, Job] = field(factory=dict)
    finals: int = 0
    born: dict[str, int] = field(factory=dict)
    """The version before each job was first seen."""
    members: dict[str, dict[str, None]] = field(factory=dict)
    """The jobs of each run, removed ones too."""
    tallies: dict[str, Tally] = field(factory=dict)
    """How many jobs of each run are in which state."""
    gated: int = 0
    """How many jobs are pending in a stage that is not open."""
    needy: dict[str, Job] = field(factory=dict)
    """The pending jobs that need others by name."""
    keyed: dict[str, dict[str, None]] = field(factory=dict)
    """The live jobs of each unique key."""
    limited: dict[Any, dict[str, None]] = field(factory=dict)
    """The running jobs of each value of the live-limit's column."""
    runs: dict[str, State] = field(factory=dict)
    environments: dict[str, Any] = field(factory=dict)
    logs: dict[str, tuple[tuple[int, str], ...]] = field(factory=dict)
    logged: dict[str, list[str]] = field(factory=dict)
    """The lines of each job whose log call was accepted, in the order of their commits."""
    calls: dict[int, Call] = field(factory=dict)
    in_flight: Flights = field(factory=Flights)
    current: dict[str, Claim] = field(factory=dict)
    claims: dict[str, list[Claim]] = field(factory=dict)
    """Every claim of each job, oldest first."""
    first_attempt: dict[str, int] = field(factory=dict)
    holds: dict[str, Hold] = field(factory=dict)
    sessions: dict[str, int] = field(factory=dict)
    clients: set[str] = field(factory=set)
    """Everybody who ever began a call."""
    lateness: Lateness = field(factory=lambda: Lateness(declared=False))
    recorded: Recorded | None = None
    """What a recorded history needs beside; None in an explored one."""
    drain: Draining | None = None
    drain_instant: int = 0
    unfinished: int = 0
    """How many jobs were live when the drain began."""

    # -- questions -------------------------------------------------------------------------------------------------

    def session(self, client: str) -> int:
        """The number of the client's present session."""
        return self.sessions.get(client, 0)

    def is_current(self, call: Call) -> bool:
        """Whether the claim that a holder's call rests on is its job's current one."""
        claim = self.current.get(call.job) if call.job is not None else None
        return claim is not None and claim.call == call.claim

    def has_settled(self, call: Call) -> bool:
        """Whether the claim that a call rests on was its job's last one and was settled by its own holder."""
        claims = self.claims.get(call.job or "")
        return bool(claims) and claims[-1].call == call.claim and claims[-1].settled_by is not None  # type: ignore[index]

    def claim_of(self, call: Call) -> Claim | None:
        """The claim that a holder's call rests on."""
        return next((claim for claim in self.claims.get(call.job or "", ()) if claim.call == call.claim), None)

    def has_lapsed(self, claim: Claim, at: float) -> bool:
        """Whether the lease of a claim has lapsed at the time `at`."""
        return at - claim.beat >= self.timeout_seconds - TOLERANCE_SECONDS

    def pass_time(self, now: float) -> None:
        """It is later than it was, or the first moment of all."""
        self.now = now
        if self.began is None:
            self.began = now

    def known(self, job: str) -> Job | None:
        """A job as it is, or as it last was."""
        return self.jobs.get(job) or self.gone.get(job)

    def is_final(self, job: str | None) -> bool:
        """Whether a job is final, or was and is gone."""
        known = self.known(job) if job is not None else None
        return known is not None and known.state in FINAL

    def in_run(self, run: str) -> Iterator[Job]:
        """The jobs of a run, removed ones too."""
        for name in self.members.get(run, ()):
            job = self.known(name)
            if job is not None:
                yield job

    def is_gated(self, job: Job) -> bool:
        """Whether a job that must complete before this one has not."""
        if job.run is not None and job.stage is not None:
            tally = self.tallies.get(job.run)
            if tally is not None and tally.is_closed(job.stage):
                return True
        return bool(job.needs) and any(self._is_open(name) for name in job.needs)

    def _is_open(self, name: str) -> bool:
        known = self.known(name)
        return known is not None and known.state is not _COMPLETED

    def missing_before(self, job: Job) -> list[Job]:
        """The jobs of earlier stages of its run, and those that it needs by name, that have not completed."""
        if not self.is_gated(job):
            return []
        needed = {name: known for name in job.needs if (known := self.known(name)) is not None}
        if job.run is not None and job.stage is not None:
            needed |= {
                other.job: other
                for other in self.in_run(job.run)
                if other.stage is not None and other.stage < job.stage
            }
        return [other for other in needed.values() if other.state is not _COMPLETED]

    def environment(self, call: Call) -> str | None:
        """The environment that a lock, unlock or deploy is about."""
        given = call.arguments.get("environment")
        job = self.known(call.job) if call.job is not None else None
        return given if given is not None else job.environment if job is not None else None

    def hold_of(self, call: Call) -> Hold | None:
        """The last grant of the lock that a call is about."""
        environment = self.environment(call)
        return self.holds.get(environment) if environment is not None else None

    def may_deploy(self, call: Call) -> bool:
        """Whether the call's client holds the lock that its deploy needs, as far as anybody can know."""
        hold = self.hold_of(call)
        if hold is None:
            return False
        if hold.client == call.client:
            return hold.state is not _FREE
        return call.client in hold.rivals or (hold.since == self.instant and call.client in hold.former)

    # -- what the judge tells --------------------------------------------------------------------------------------

    def adopt(self, change: Change) -> None:
        """Take over what was observed, right or wrong: the model goes on from there."""
        self._adopt_claim(change)
        name, before, after = change.job, change.before, change.after
        if before is not None:
            self._forget(name, before)
        if after is None:
            if before is not None:
                self.gone[name] = gone = evolve(before, state=_LAST_STATE.get(change.operation, before.state))
                self._count(gone, 1, there=False)
        else:
            self._learn(name, after)
        if change.meaning is _ADDED and change.call is not None:
            change.call.added.append(name)

    def _learn(self, name: str, job: Job) -> None:
        if name not in self.born:
            self.born[name] = self.version
            self.first_attempt[name] = job.attempt or 0
        gone = self.gone.pop(name, None)
        if gone is not None:
            self._count(gone, -1, there=False)
        self.jobs[name] = job
        if job.state is _PENDING:
            self.pending[name] = job
        elif job.state is _RUNNING:
            self.running[name] = job
        else:
            self.finals += 1
        if job.run is not None:
            self.members.setdefault(job.run, {})[name] = None
            self._count(job, 1, there=True)
        self._mark(name, job)
        if job.unique_key is not None and job.state in LIVE:
            self.keyed.setdefault(job.unique_key, {})[name] = None

    def _mark(self, name: str, job: Job) -> None:
        """Enter a job where those are that need others, and that are limited."""
        if job.needs and job.state is _PENDING:
            self.needy[name] = job
        if self.limit is not None and job.state is _RUNNING:
            self.limited.setdefault(_column(job, self.limit.column), {})[name] = None

    def _count(self, job: Job, by: int, *, there: bool) -> None:
        if job.run is None:
            return
        tally = self.tallies.get(job.run)
        if tally is None:
            tally = self.tallies[job.run] = Tally()
        self.gated -= tally.gated
        tally.count(job, by, there=there)
        self.gated += tally.gated

    def _forget(self, name: str, job: Job) -> None:
        del self.jobs[name]
        if job.run is not None:
            self._count(job, -1, there=True)
        if job.needs:
            self.needy.pop(name, None)
        if self.limit is not None and job.state is _RUNNING:
            self.limited.get(_column(job, self.limit.column), {}).pop(name, None)
        self.pending.pop(name, None)
        self.running.pop(name, None)
        if job.state in FINAL:
            self.finals -= 1
        elif job.unique_key is not None:
            self.keyed.get(job.unique_key, {}).pop(name, None)

    def _adopt_claim(self, change: Change) -> None:
        meaning = change.meaning
        if meaning is _REWRITTEN:
            return
        if meaning in _CLAIMS and change.call is not None:
            self.start_claim(change.call, change.job, certain=change.certain)
        elif meaning is _UNDONE and change.claim is not None:
            self.current.pop(change.job, None)
            self.claims[change.job].remove(change.claim)
        elif change.after is None or change.after.state is not _RUNNING:
            self._end_claim(change)

    def start_claim(self, call: Call, job: str, *, certain: bool = True) -> None:
        """From now on the claim `call` is the current one of `job`."""
        former = self.current.get(job)
        if former is not None and not former.ended:
            former.ended = f"{call.client} took {job} over at step {self.step}"
        claim = Claim(
            call=call.number,
            client=call.client,
            session=call.session,
            job=job,
            step=self.step,
            instant=self.instant,
            beat=call.started_at if call.started_at is not None else self.now,
            certain=certain,
        )
        self.current[job] = claim
        self.claims.setdefault(job, []).append(claim)
        call.took.append(job)

    def exchange(self, call: Call, other: Call, job: str) -> None:
        """It was `call`, not `other`, that took `job`; what `call` was thought to have taken instead is the other's."""
        for taken, owner in [(job, call), *((name, other) for name in call.took if not self._is_certain(name))]:
            claim = self.current.get(taken)
            if claim is not None:
                claim.call, claim.client, claim.session = owner.number, owner.client, owner.session
                owner.took.append(taken)
        call.took[:] = [job]
        other.took[:] = [name for name in other.took if name != job]

    def _is_certain(self, job: str) -> bool:
        claim = self.current.get(job)
        return claim is None or claim.certain

    def _end_claim(self, change: Change) -> None:
        claim = self.current.pop(change.job, None)
        if claim is None:
            return
        call = change.call
        own = call is not None and call.claim == claim.call
        if own and call is not None and change.meaning is _SETTLED:
            claim.settled_by = call.number
        claim.ended = change.told(self.step)
        for hold in self.holds.values():
            if hold.claim == claim.call and hold.state is _HELD:
                hold.released = claim.settled_by is not None
                hold.state = _FREE if hold.released else _LAPSED
                hold.freed = claim.ended

    def end_session(self, client: str) -> None:
        """A client's session has ended: what it had open is rolled back, its session locks are free."""
        self.sessions[client] = self.session(client) + 1
        for call in self.in_flight.of_client(client):
            call.open = call.blocked = False
        for hold in self.holds.values():
            if hold.client == client and hold.state is not _FREE:
                certain = self.session_frees_locks and hold.since < self.instant
                hold.state = _FREE if certain else _LAPSED
                hold.freed = f"{client}'s session ended at step {self.step}"

    def adopt_rest(self, observed: Observed) -> None:
        """Take over what an observation says of runs, environments and logs."""
        if observed.runs:
            _merge(self.runs, observed.runs)
        if observed.environments:
            _merge(self.environments, observed.environments)
        if observed.logs and self.recorded is None:
            _merge(self.logs, observed.logs)
        self.version += 1


_LAST_STATE = {"complete": State.COMPLETED, "cancel": State.CANCELLED}
"""The state in which a live job ended that an operation removed."""


def _column(job: Job, name: str) -> Any:
    """The value of a column that `claim-order` or `live-limit` names."""
    return job.order[name] if name in job.order else getattr(job, name, None)


def _merge(table: dict[str, Any], seen: Mapping[str, Any]) -> None:
    for key, value in seen.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
