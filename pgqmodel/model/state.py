"""The model's state: jobs as last observed, claims and their holders, calls in flight, deploy locks, the clock.

Only values and questions about them. `adopt`, `answers` and `claims` change it, and `step` finds the meaning of a
difference. Promises are unknown here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import Factory, define, evolve, field, frozen

from pgqmodel.catalogue import Catalogue
from pgqmodel.history import Draining, Job
from pgqmodel.horizon import is_beyond
from pgqmodel.model.change import Body, Call, Change, Claim
from pgqmodel.model.flights import Flights
from pgqmodel.model.holds import Hold, HoldState
from pgqmodel.model.interests import Interests
from pgqmodel.model.runs import AS_THE_JOBS, Shows
from pgqmodel.model.tally import Tally
from pgqmodel.operations import FINAL, LIVE, OPERATIONS, UNHELD, Lease, Operation, State

__all__ = ["TIMEOUT_SECONDS", "TOLERANCE_SECONDS", "Limit", "ModelState"]

_COMPLETED, _PENDING = State.COMPLETED, State.PENDING

TIMEOUT_SECONDS = 30.0
TOLERANCE_SECONDS = 1e-5
"""Times are floats since the epoch; the error of their differences is less than this."""


@frozen(kw_only=True)
class Limit:
    """At most `limit` running jobs for each value of `column`."""

    column: str
    limit: int


@define(kw_only=True, eq=False)
class ModelState:
    """The model's state. The machine may read `jobs`, `current`, `now`; only the judge changes anything."""

    kinds: Catalogue[Operation] = OPERATIONS
    """The operations of the target, with those that it alone has."""
    timeout_seconds: float = TIMEOUT_SECONDS
    timeout_declared: bool = False
    """Whether the target says how long a lease lasts."""
    leases: tuple[Lease, ...] = (Lease.HEARTBEAT,)
    """The kinds of lease: the end of any of these ends the right of a silent holder."""
    attempts_max: int | None = None
    at_most_once: bool = False
    """Whether a crash may lose a job, and nobody may run it twice."""
    limit: Limit | None = None
    session_frees_locks: bool = False
    shows: Shows = field(factory=lambda: AS_THE_JOBS)
    """The statuses that runs may show."""
    now: float = 0.0
    start: float | None = None
    """The story's first moment, if it has times."""
    moved_step: int = 0
    """The step at which the clock was moved last."""
    follows_clock: bool = False
    """Whether the queue has shown that a job's state can change because time passes."""
    moments: frozenset[str] = frozenset()
    """The columns of jobs that are known to hold moments."""
    step: int = 0
    instant: int = 0
    """The number of the present instant: see `instants`."""
    version: int = 0
    """A number that grows with every observation."""
    version_before: int = 0
    """The version when the present instant began."""
    jobs: dict[str, Job] = field(factory=dict)
    gone: dict[str, Job] = field(factory=dict)
    """Jobs whose row was removed: their last values, with the state in which they ended."""
    pending: dict[str, Job] = field(factory=dict)
    running: dict[str, Job] = field(factory=dict)
    finals: int = 0
    born: dict[str, int] = field(factory=dict)
    """The version before each job was first seen."""
    members: dict[str, dict[str, None]] = field(factory=dict)
    """The jobs of each run, with removed ones."""
    tallies: dict[str, Tally] = field(factory=dict)
    """For each run, the number of its jobs in each state."""
    gated: int = 0
    """The number of jobs that are pending in a stage that is not open."""
    needy: dict[str, Job] = field(factory=dict)
    """The pending jobs that need others by name."""
    keyed: dict[str, dict[str, None]] = field(factory=dict)
    """The live jobs of each unique key."""
    limited: dict[Any, dict[str, None]] = field(factory=dict)
    """The running jobs for each value of the limit's column."""
    runs: dict[str, State] = field(factory=dict)
    taking: frozenset[str] = frozenset()
    """The jobs that the claims of the present observation took."""
    changed: dict[str, int] = field(factory=dict)
    """The instant of the last change of each job, apart from its first appearance."""
    calls: dict[int, Call] = field(factory=dict)
    in_flight: Flights = Factory(lambda self: Flights(kinds=self.kinds), takes_self=True)
    current: dict[str, Claim] = field(factory=dict)
    claims: dict[str, list[Claim]] = field(factory=dict)
    """Every claim of each job, oldest first."""
    first_attempt: dict[str, int] = field(factory=dict)
    holds: dict[str, Hold] = field(factory=dict)
    sessions: dict[str, int] = field(factory=dict)
    clients: set[str] = field(factory=set)
    """The clients that ever began a call."""
    interests: Interests = field(factory=Interests)
    """In a recorded history, the jobs, keys and environments of calls."""
    bodies: dict[str, Body] = field(factory=dict)
    """The bodies of jobs that programs run now, by connection."""
    watchers: dict[type, Any] = field(factory=dict)
    """The memories that promises keep beside the model, by their class."""
    drain: Draining | None = None
    drain_instant: int = 0
    followers: set[str] = field(factory=set)
    """Jobs that were added during the drain by calls that began in it."""
    unfinished: int = 0
    """The number of jobs that were live when the drain began."""

    # -- questions -------------------------------------------------------------------------------------------------

    def session(self, client: str) -> int:
        """The number of the client's present session."""
        return self.sessions.get(client, 0)

    def is_current(self, call: Call) -> bool:
        """Whether a holder's call rests on the current claim of its job, or of any job of a batch."""
        claims = (self.current.get(job) for job in call.jobs)
        return any(claim is not None and claim.call == call.claim for claim in claims)

    def has_settled(self, call: Call) -> bool:
        """Whether the call rests on its job's last claim, and the holder of that claim has settled it."""
        last = [claims[-1] for job in call.jobs if (claims := self.claims.get(job))]
        return any(claim.call == call.claim and claim.settled_by is not None for claim in last)

    def claim_of(self, call: Call) -> Claim | None:
        """The claim that a holder's call rests on."""
        return next((claim for claim in self.claims.get(call.job or "", ()) if claim.call == call.claim), None)

    def has_lapsed(self, claim: Claim, at: float) -> bool:
        """Whether the lease of a claim has lapsed at the time `at`."""
        return claim.lapsed or any(_HAS_LAPSED[lease](self, claim, at) for lease in self.leases)

    def has_left(self, claim: Claim) -> bool:
        """Whether the session that made a claim has ended."""
        return self.session(claim.client) != claim.session

    def is_old(self, claim: Claim, at: float) -> bool:
        """Whether a claim's last accepted heartbeat is as old as the timeout."""
        return at - claim.beat >= self.timeout_seconds - TOLERANCE_SECONDS

    def is_past_its_end(self, claim: Claim, at: float) -> bool:
        """Whether the end of the lease that the job's row shows has come."""
        job = self.known(claim.job)
        return job is not None and job.lease_until is not None and at >= job.lease_until - TOLERANCE_SECONDS

    def pass_time(self, now: float) -> None:
        """Time has passed: `now` is the new time. The first call gives the story's start."""
        self.now = now
        if self.start is None:
            self.start = now

    def known(self, job: str) -> Job | None:
        """A job as it is, or as it was before its row was removed."""
        return self.jobs.get(job) or self.gone.get(job)

    def is_final(self, job: str | None) -> bool:
        """Whether a job is final, or was final when its row was removed."""
        known = self.known(job) if job is not None else None
        return known is not None and known.state in FINAL

    def in_run(self, run: str) -> Iterator[Job]:
        """The jobs of a run, with removed ones."""
        for name in self.members.get(run, ()):
            job = self.known(name)
            if job is not None:
                yield job

    def is_gated(self, job: Job) -> bool:
        """Whether a job that must complete before this one has not completed."""
        if job.run is not None and job.stage is not None:
            tally = self.tallies.get(job.run)
            if tally is not None and tally.is_closed(job.stage):
                return True
        return bool(job.needs) and any(self._is_open(name) for name in job.needs)

    def _is_open(self, name: str) -> bool:
        known = self.known(name)
        return known is not None and known.state is not _COMPLETED

    def missing_before(self, job: Job) -> list[Job]:
        """The jobs that must complete first and have not: of earlier stages of its run, or needed by name."""
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
        """The environment of a lock, unlock or deploy."""
        given = call.arguments.get("environment")
        job = self.known(call.job) if call.job is not None else None
        return given if given is not None else job.environment if job is not None else None

    def hold_of(self, call: Call) -> Hold | None:
        """The last grant of the deploy lock that a call is about."""
        environment = self.environment(call)
        return self.holds.get(environment) if environment is not None else None

    def may_deploy(self, call: Call) -> bool:
        """Whether the call's client holds the lock that its deploy needs; True also if that is unknown."""
        hold = self.hold_of(call)
        if hold is None:
            return False
        if hold.client == call.client:
            return hold.state is not HoldState.FREE
        return call.client in hold.rivals or (hold.since == self.instant and call.client in hold.former)

    def is_rightful(self, change: Change) -> bool:
        """Whether a settlement changed a job as its current holder, or continues a change that the same call began."""
        call, claim = change.call, change.claim
        if call is None:
            return False
        if claim is not None:
            return claim.call == call.claim
        former, claims = self.claim_of(call), self.claims.get(change.job)
        last = claims[-1] if claims else None
        return former is not None and former.settled_by == call.number and last is former

    def adds(self, change: Change) -> bool:
        """Whether a call that may add jobs committed a new job, in any state."""
        kind = self.kinds.get(change.operation)
        new = change.before is None and change.job not in self.gone
        return new and kind is not None and any(move.before is None for move in kind.moves)

    def end_bodies(self, client: str, *, crashed: bool) -> None:
        """A program is dead, and with it the bodies of jobs that it ran; or one of its connections has ended."""
        for line, body in list(self.bodies.items()):
            if body.client == client and crashed:
                del self.bodies[line]
            elif body.client == client:
                self.bodies[line] = evolve(body, cut=True)

    def is_spent(self, job: str) -> bool:
        """Whether a job has had all its attempts."""
        return self.attempts_max is not None and len(self.claims.get(job, ())) >= self.attempts_max

    def left_over(self, poison: str | None) -> Iterator[Job]:
        """The jobs that are live after a drain and do not depend on the poison job.

        A job that waits for a time beyond the horizon does not count, because no story gets there. A job that was added
        during the drain does not count either: if each job that ends adds the next one, there is no last one.
        """
        bad = self.known(poison) if poison is not None else None
        for job in self.jobs.values():
            late = job.state in UNHELD and is_beyond(job.eligible_at, self.now)
            expected = self.is_unfinished(job) and job.job not in self.followers
            if expected and job.job != poison and not late and not _waits_for(job, bad) and not self.may_be_lost(job):
                yield job

    def may_be_lost(self, job: Job) -> bool:
        """Whether a job's worker has crashed, or never heard that it has it, where that may lose the job."""
        claim = self.current.get(job.job) if self.at_most_once and job.state is State.RUNNING else None
        return claim is not None and (self.has_left(claim) or not claim.answered)

    def is_unfinished(self, job: Job) -> bool:
        """Whether a job must come to an end by itself. A waiting job must only if an operation promotes jobs."""
        if job.state is State.WAITING:
            return self.kinds.table(_promotes)
        return job.state in LIVE


def _promotes(operations: Catalogue[Operation]) -> bool:
    """Whether some operation promotes waiting jobs."""
    moves = (move for operation in operations.values() for move in operation.moves)
    return any(move.before is State.WAITING and move.after is _PENDING for move in moves)


_HAS_LAPSED: dict[Lease, Callable[[ModelState, Claim, float], bool]] = {
    Lease.HEARTBEAT: ModelState.is_old,
    Lease.UNTIL: ModelState.is_past_its_end,
    Lease.SESSION: lambda state, claim, at: state.has_left(claim),
    Lease.TRANSACTION: lambda state, claim, at: state.has_left(claim),
}


def _waits_for(job: Job, bad: Job | None) -> bool:
    """Whether a job is of a later stage of the poison job's run."""
    if bad is None or bad.run is None or bad.run != job.run or bad.stage is None or job.stage is None:
        return False
    return bad.stage < job.stage
