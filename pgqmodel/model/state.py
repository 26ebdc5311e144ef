"""What the model knows: jobs as last observed, claims and who holds them, calls in flight, deploy locks, the clock.

Only values and their bookkeeping. What a difference means is said in `step`, whether it breaks a promise in `promises`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Protocol

from attrs import define, evolve, field

from pgqmodel.history import Draining, Job, Observed
from pgqmodel.model.change import Call, Change, Claim
from pgqmodel.model.transitions import Meaning
from pgqmodel.operations import FINAL, LIVE, State

__all__ = ["Hold", "HoldState", "Limit", "ModelState"]

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


class HoldState(StrEnum):
    """What is known of a deploy lock that was once granted."""

    HELD = "held"
    LAPSED = "lapsed"
    """Its job was taken from the holder, or its session has ended and no promise says what that does: it may be held
    or free, and both are legal."""
    FREE = "free"


@define(kw_only=True, eq=False)
class Hold:
    """The last grant of one environment's deploy lock, and what became of it."""

    environment: str
    client: str
    job: str | None
    claim: int | None
    step: int
    state: HoldState = HoldState.HELD
    freed: str = ""
    """Why it is no longer held, as a sentence."""


@define(kw_only=True, eq=False)
class ModelState:
    """The model's state. The machine may read `jobs`, `current`, `now`; only the judge changes anything."""

    timeout_seconds: float = TIMEOUT_SECONDS
    attempts_max: int | None = None
    limit: Limit | None = None
    session_frees_locks: bool = False
    now: float = 0.0
    step: int = 0
    version: int = 0
    """Grows with every observation."""
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
    keyed: dict[str, dict[str, None]] = field(factory=dict)
    """The live jobs of each unique key."""
    runs: dict[str, State] = field(factory=dict)
    environments: dict[str, Any] = field(factory=dict)
    logs: dict[str, tuple[tuple[int, str], ...]] = field(factory=dict)
    logged: dict[str, list[str]] = field(factory=dict)
    """The lines of each job whose log call was accepted, in the order of their commits."""
    calls: dict[int, Call] = field(factory=dict)
    in_flight: dict[int, Call] = field(factory=dict)
    current: dict[str, Claim] = field(factory=dict)
    claims: dict[str, list[Claim]] = field(factory=dict)
    """Every claim of each job, oldest first."""
    first_attempt: dict[str, int] = field(factory=dict)
    holds: dict[str, Hold] = field(factory=dict)
    sessions: dict[str, int] = field(factory=dict)
    drain: Draining | None = None
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

    def missing_before(self, job: Job) -> list[Job]:
        """The jobs of earlier stages of its run that have not completed."""
        if job.run is None or job.stage is None:
            return []
        return [
            other
            for other in self.in_run(job.run)
            if other.stage is not None and other.stage < job.stage and other.state is not State.COMPLETED
        ]

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
        return hold is not None and hold.client == call.client and hold.state is not HoldState.FREE

    # -- what the judge tells --------------------------------------------------------------------------------------

    def adopt(self, change: Change) -> None:
        """Take over what was observed, right or wrong: the model goes on from there."""
        self._adopt_claim(change)
        name, before, after = change.job, change.before, change.after
        if before is not None:
            self._forget(name, before)
        if after is None:
            if before is not None:
                self.gone[name] = evolve(before, state=_LAST_STATE.get(change.operation, before.state))
        else:
            self._learn(name, after)
        if change.meaning is Meaning.ADDED and change.call is not None:
            change.call.added.append(name)

    def _learn(self, name: str, job: Job) -> None:
        if name not in self.born:
            self.born[name] = self.version
            self.first_attempt[name] = job.attempt or 0
        self.gone.pop(name, None)
        self.jobs[name] = job
        if job.state is State.PENDING:
            self.pending[name] = job
        elif job.state is State.RUNNING:
            self.running[name] = job
        else:
            self.finals += 1
        if job.run is not None:
            self.members.setdefault(job.run, {})[name] = None
        if job.unique_key is not None and job.state in LIVE:
            self.keyed.setdefault(job.unique_key, {})[name] = None

    def _forget(self, name: str, job: Job) -> None:
        del self.jobs[name]
        self.pending.pop(name, None)
        self.running.pop(name, None)
        if job.state in FINAL:
            self.finals -= 1
        elif job.unique_key is not None:
            self.keyed.get(job.unique_key, {}).pop(name, None)

    def _adopt_claim(self, change: Change) -> None:
        meaning = change.meaning
        if meaning is Meaning.REWRITTEN:
            return
        if meaning in {Meaning.CLAIMED, Meaning.TAKEN} and change.call is not None:
            self.start_claim(change.call, change.job, certain=change.certain)
        elif meaning is Meaning.UNDONE and change.claim is not None:
            self.current.pop(change.job, None)
            self.claims[change.job].remove(change.claim)
        elif change.after is None or change.after.state is not State.RUNNING:
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
                self.calls[owner.number].took.append(taken)
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
        if own and call is not None and change.meaning is Meaning.SETTLED:
            claim.settled_by = call.number
        claim.ended = change.told(self.step)
        for hold in self.holds.values():
            if hold.claim == claim.call and hold.state is HoldState.HELD:
                hold.state = HoldState.FREE if claim.settled_by is not None else HoldState.LAPSED
                hold.freed = claim.ended

    def end_session(self, client: str) -> None:
        """A client's session has ended: what it had open is rolled back, its session locks are free."""
        self.sessions[client] = self.session(client) + 1
        for call in self.in_flight.values():
            if call.client == client:
                call.open = call.blocked = False
        for hold in self.holds.values():
            if hold.client == client and hold.state is not HoldState.FREE:
                hold.state = HoldState.FREE if self.session_frees_locks else HoldState.LAPSED
                hold.freed = f"{client}'s session ended at step {self.step}"

    def adopt_rest(self, observed: Observed) -> None:
        """Take over what an observation says of runs, environments and logs."""
        for table, seen in (
            (self.runs, observed.runs),
            (self.environments, observed.environments),
            (self.logs, observed.logs),
        ):
            _merge(table, seen)
        self.version += 1


_LAST_STATE = {"complete": State.COMPLETED, "cancel": State.CANCELLED}
"""The state in which a live job ended that an operation removed."""


def _merge(table: dict[str, Any], seen: Mapping[str, Any]) -> None:
    for key, value in seen.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
