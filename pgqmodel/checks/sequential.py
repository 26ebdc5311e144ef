"""The sequential specification: the effect of each call on one job, when calls come one after another.

A call either takes effect on a job's `JobLife`, or it cannot come next, and the objection says why. The table `life`
of the model decides. Things that clients do not see are left out: a removed row counts as the final state it had. A
call that may leave a job pending or failed leaves it pending, because every call that a failed job accepts is accepted
by a pending one, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from attrs import frozen

from pgqmodel.model.facts import Fact
from pgqmodel.model.transitions import SESSION_END, life
from pgqmodel.operations import CANCEL, CLAIM, ENQUEUE, FINAL, HEARTBEAT, LIVE, SETTLEMENTS, Meaning, State
from pgqmodel.promises import (
    attempts,
    exclusive_claim,
    fenced_heartbeat,
    fenced_settlement,
    final_states,
    lease,
    no_lost_job,
    no_phantom_job,
    unique_key,
)
from pgqmodel.promises import search_reasons as reasons

__all__ = ["HELPFUL", "NEVER", "UNBORN", "JobLife", "Objection", "Specification", "TimedCall"]

EARLY_RECLAIM = lease.PROMISE.anomaly
DUPLICATE_KEY = unique_key.PROMISE.anomaly
LOST_JOB = no_lost_job.PROMISE.anomaly
DOUBLE_CLAIM = exclusive_claim.PROMISE.anomaly
RESURRECTION = final_states.PROMISE.anomaly
PHANTOM_JOB = no_phantom_job.PROMISE.anomaly
ATTEMPT_MISCOUNT = attempts.MISCOUNT
ATTEMPT_OVERRUN = attempts.OVERRUN
ZOMBIE_HEARTBEAT = fenced_heartbeat.PROMISE.anomaly
STALE_SETTLEMENT = fenced_settlement.PROMISE.anomaly

TOLERANCE_SECONDS = 1e-5
"""Times are floats since the epoch; the error of their differences is less than this."""
NEVER = float("inf")
"""The place, or the time, of an answer that never came."""


@frozen(kw_only=True, eq=False)
class TimedCall:
    """One call about one job; `invoked` and `returned` are places in the history.

    A call that is not `required` may have had no effect on the job. `began_at` and `over_at` are the earliest and the
    latest time of its effect, if the history has times.
    """

    number: int
    client: str
    operation: str
    invoked: int
    returned: float = NEVER
    step: int = 0
    returned_step: int | None = None
    job: str | None = None
    claim: int | None = None
    attempt: int | None = None
    keyed: bool = False
    required: bool = False
    rested_on: bool = False
    """Whether other calls name it as their claim."""
    began_at: float | None = None
    over_at: float | None = None
    asked: int = 0
    answered: float = NEVER
    """The lines of the invocation and of the answer. They give a client's own order, also within one instant."""
    session_ends: int | None = None
    """For a claim: the first place where its session can have ended; None if it did not end."""

    @property
    def is_lost(self) -> bool:
        """Whether its answer never came."""
        return self.returned == NEVER

    def fact(self) -> Fact:
        """The call as evidence."""
        if self.operation == SESSION_END:
            return reasons.EndOfSession(client=self.client, claimed=self.step)
        return reasons.CallSpan(
            client=self.client, operation=self.operation, step=self.step, returned=self.returned_step
        )


class JobLife(NamedTuple):
    """One job at one instant. `claim` is its last claim; `settled` says that the holder of that claim settled it.

    `beat` is the earliest time at which the job can have this state: the begin of the running claim's lease, or the
    end of the former claim's lease.
    """

    state: State | None
    claim: int | None = None
    settled: bool = False
    attempt: int = 0
    beat: float | None = None


UNBORN = JobLife(None)


@frozen
class Objection:
    """Why a call cannot come next: the anomaly that it would be, and the reason as a fact."""

    anomaly: str
    because: Fact


@frozen(kw_only=True)
class Specification:
    """The queue's settings: its lease, and the number of times a job may be claimed."""

    lease_seconds: float | None = None
    attempts_max: int | None = None

    def after(self, life: JobLife, call: TimedCall) -> JobLife | None:
        """The job after the call's effect; None if the call cannot come next."""
        if self.is_early(life, call):
            return None
        outcome = _OUTCOMES.get((call.operation, life.state))
        if outcome is not None:
            state, meaning = outcome
            if _MAY[meaning](self, life, call):
                return _BECOMES[meaning](self, life, call, state)
        idle = _IDLE.get(call.operation)
        return idle(life, call) if idle is not None else None

    def objection(self, life: JobLife, call: TimedCall) -> Objection:
        """The reason why `after` returned None."""
        if self.is_early(life, call):
            return Objection(EARLY_RECLAIM, reasons.LapsedLater())
        return _OBJECTIONS[call.operation](self, life, call)

    def lapsed(self, life: JobLife, call: TimedCall, *, presumed: bool) -> bool:
        """Whether the lease can have lapsed when the call took effect; `presumed` if that cannot be known."""
        if self.lease_seconds is None or life.beat is None or call.over_at is None:
            return presumed
        return call.over_at - life.beat >= self.lease_seconds - TOLERANCE_SECONDS

    def is_early(self, life: JobLife, call: TimedCall) -> bool:
        """Whether the call was over before the job can have had this state."""
        return life.beat is not None and call.over_at is not None and call.over_at < life.beat - TOLERANCE_SECONDS

    def counts(self, life: JobLife, call: TimedCall) -> bool:
        """Whether a claim's attempt number is right and one more claim is allowed."""
        told = call.attempt is None or call.attempt == life.attempt + 1
        return told and (self.attempts_max is None or life.attempt < self.attempts_max)


_COUNTED = frozenset(
    {
        Meaning.ADDED,
        Meaning.CLAIMED,
        Meaning.TAKEN,
        Meaning.SETTLED,
        Meaning.CANCELLED,
        Meaning.RECLAIMED,
        Meaning.RELEASED,
    }
)
"""The other meanings are about removed rows, undone claims and the ends of other jobs; no answer depends on them."""


def _outcomes() -> dict[tuple[str, State | None], tuple[State, Meaning]]:
    """(operation, state before) -> state after and meaning; if several states may follow, a live one."""
    found: dict[tuple[str, State | None], tuple[State, Meaning]] = {}
    for row in life():
        if row.meaning in _COUNTED and row.after is not None:
            known = found.get((row.operation, row.before))
            if known is None or (known[0] in FINAL and row.after in LIVE):
                found[row.operation, row.before] = (row.after, row.meaning)
    return found


_OUTCOMES = _outcomes()
HELPFUL = frozenset(operation for (operation, _), (after, _) in _OUTCOMES.items() if after in LIVE)
"""The operations whose lost calls may explain another answer: those that leave a job live. No accepted call needs a
job to be over."""


def _always(specification: Specification, life: JobLife, call: TimedCall) -> bool:
    return True


def _own(specification: Specification, life: JobLife, call: TimedCall) -> bool:
    """A settlement that names no claim counts as one of the current claim."""
    return call.claim is None or call.claim == life.claim


def _taken(specification: Specification, life: JobLife, call: TimedCall) -> bool:
    return specification.lapsed(life, call, presumed=False) and specification.counts(life, call)


_MAY: dict[Meaning, Callable[[Specification, JobLife, TimedCall], bool]] = {
    Meaning.ADDED: _always,
    Meaning.CLAIMED: lambda specification, life, call: specification.counts(life, call),
    Meaning.TAKEN: _taken,
    Meaning.SETTLED: _own,
    Meaning.CANCELLED: _always,
    Meaning.RECLAIMED: lambda specification, life, call: specification.lapsed(life, call, presumed=True),
    Meaning.RELEASED: lambda specification, life, call: life.claim == call.claim,
}
"""The condition for each meaning, beside its row in the table."""


def _claimed(specification: Specification, life: JobLife, call: TimedCall, state: State) -> JobLife:
    beat = call.began_at if life.beat is None or call.began_at is None else max(life.beat, call.began_at)
    return JobLife(state, call.number, settled=False, attempt=life.attempt + 1, beat=beat)


def _taken_over(specification: Specification, life: JobLife, call: TimedCall, state: State) -> JobLife:
    """A takeover takes effect after the end of the former lease, even if the call began earlier."""
    return _claimed(specification, _reclaimed(specification, life, call, state), call, state)


def _reclaimed(specification: Specification, life: JobLife, call: TimedCall, state: State) -> JobLife:
    """A reclaim takes effect after the end of the lease, even if the call began earlier."""
    lease = specification.lease_seconds
    return life._replace(state=state, beat=life.beat if life.beat is None or lease is None else life.beat + lease)


def _ended(specification: Specification, life: JobLife, call: TimedCall, state: State) -> JobLife:
    return life._replace(state=state)


def _settled(specification: Specification, life: JobLife, call: TimedCall, state: State) -> JobLife:
    return life._replace(state=state, settled=True)


_BECOMES: dict[Meaning, Callable[[Specification, JobLife, TimedCall, State], JobLife]] = {
    Meaning.ADDED: _ended,
    Meaning.CLAIMED: _claimed,
    Meaning.TAKEN: _taken_over,
    Meaning.SETTLED: _settled,
    Meaning.CANCELLED: _ended,
    Meaning.RECLAIMED: _reclaimed,
    Meaning.RELEASED: _ended,
}


def _again(life: JobLife, call: TimedCall) -> JobLife | None:
    """A repeat by the claim that settled the job last changes nothing."""
    return life if life.settled and call.claim in {None, life.claim} else None


def _beaten(life: JobLife, call: TimedCall) -> JobLife | None:
    if life.state is not State.RUNNING or call.claim not in {None, life.claim}:
        return None
    if life.beat is None or call.began_at is None:
        return life
    return life._replace(beat=max(life.beat, call.began_at))


_IDLE: dict[str, Callable[[JobLife, TimedCall], JobLife | None]] = {
    ENQUEUE.name: lambda life, call: life if call.keyed and life.state in LIVE else None,
    CANCEL.name: lambda life, call: life if life.state is State.CANCELLED else None,
    HEARTBEAT.name: _beaten,
    **dict.fromkeys(SETTLEMENTS, _again),
}
"""Calls that may be accepted without a change of state, such as an enqueue with the key of a live job."""


def _object_enqueue(specification: Specification, life: JobLife, call: TimedCall) -> Objection:
    if call.keyed:
        return Objection(DUPLICATE_KEY, reasons.WasAlready(life.state))
    return Objection(LOST_JOB, reasons.EnqueuedAlready())


def _object_claim(specification: Specification, life: JobLife, call: TimedCall) -> Objection:
    if life.state is State.RUNNING and not specification.lapsed(life, call, presumed=False):
        return Objection(DOUBLE_CLAIM, reasons.HeldByClaim(life.claim))
    if life.state in FINAL:
        return Objection(RESURRECTION, reasons.WasOver(life.state))
    if life.state is None:
        return Objection(PHANTOM_JOB, reasons.NotYetEnqueued())
    if call.attempt is not None and call.attempt != life.attempt + 1:
        return Objection(ATTEMPT_MISCOUNT, reasons.AttemptAfter(attempt=call.attempt, claims=life.attempt))
    return Objection(ATTEMPT_OVERRUN, reasons.ClaimedOut(claims=life.attempt, most=specification.attempts_max))


def _object_holder(specification: Specification, life: JobLife, call: TimedCall) -> Objection:
    anomaly = ZOMBIE_HEARTBEAT if call.operation == HEARTBEAT.name else STALE_SETTLEMENT
    holder = life.claim if life.state is State.RUNNING else None
    return Objection(anomaly, reasons.ClaimNotCurrent(claim=call.claim, holder=holder, state=life.state))


def _object_cancel(specification: Specification, life: JobLife, call: TimedCall) -> Objection:
    if life.state is None:
        return Objection(PHANTOM_JOB, reasons.NotYetEnqueued())
    return Objection(RESURRECTION, reasons.WasOver(life.state))


_OBJECTIONS: dict[str, Callable[[Specification, JobLife, TimedCall], Objection]] = {
    ENQUEUE.name: _object_enqueue,
    CLAIM.name: _object_claim,
    CANCEL.name: _object_cancel,
    **dict.fromkeys((HEARTBEAT.name, *SETTLEMENTS), _object_holder),
}
