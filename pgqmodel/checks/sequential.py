"""The sequential specification: what one job's calls may do when they come one after another, looked up in `life`.

A call either takes effect on a job's `JobLife` or it cannot come next, and then the objection says why. What clients do
not see is left out: a row that is gone counts as the final state in which it went, and a call that may leave a job
pending or failed leaves it pending, because whatever is accepted of a failed job is accepted of a pending one too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from attrs import frozen

from pgqmodel.model.transitions import SESSION_END, life
from pgqmodel.operations import CANCEL, CLAIM, ENQUEUE, FINAL, HEARTBEAT, LIVE, SETTLEMENTS, Meaning, State
from pgqmodel.phrases import counted, often
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
"""Times are floats since the epoch: their differences are exact to less than this."""
NEVER = float("inf")
"""The place or time of an answer that never came."""


@frozen(kw_only=True, eq=False)
class TimedCall:
    """One operation as far as one job is concerned; `invoked` and `returned` are places in the history.

    Of a call that is not `required` nobody knows that it had an effect on the job. `began_at` and `over_at` are the
    earliest and latest time of its effect, where the history has times.
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
    """Other calls name it as their claim."""
    began_at: float | None = None
    over_at: float | None = None
    asked: int = 0
    answered: float = NEVER
    """The lines of both: a client's own order, which holds among calls at one instant too."""
    session_ends: int | None = None
    """For a claim: from which place on its session can have ended, if it did."""

    @property
    def is_lost(self) -> bool:
        """Whether its answer never came."""
        return self.returned == NEVER

    def told(self) -> str:
        """The call as a noun: "A's claim (step 3 to 5)"."""
        if self.operation == SESSION_END:
            return f"the end of the session of {self.client}'s claim of step {self.step}"
        over = "never answered" if self.returned_step is None else f"to {self.returned_step}"
        return f"{self.client}'s {self.operation} (step {self.step}{' ' if self.returned_step else ', '}{over})"


class JobLife(NamedTuple):
    """One job at one instant. `claim` is its last claim; `settled` says that its own holder has settled it.

    `beat` is the earliest time at which it can have become so: when the running claim's lease can have begun, or the
    former one's can have lapsed.
    """

    state: State | None
    claim: int | None = None
    settled: bool = False
    attempt: int = 0
    beat: float | None = None


UNBORN = JobLife(None)


@frozen
class Objection:
    """Why a call cannot come next: the anomaly that it would be, and the reason as a clause."""

    anomaly: str
    because: str


@frozen(kw_only=True)
class Specification:
    """What is known of the queue beside the table: its lease, and how often it lets a job be claimed."""

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
        """Why `after` is None."""
        if self.is_early(life, call):
            return Objection(EARLY_RECLAIM, "whoever held the job before lost it only when its lease had lapsed, later")
        return _OBJECTIONS[call.operation](self, life, call)

    def lapsed(self, life: JobLife, call: TimedCall, *, presumed: bool) -> bool:
        """Whether the lease can have lapsed when the call took effect; as presumed where nobody can know."""
        if self.lease_seconds is None or life.beat is None or call.over_at is None:
            return presumed
        return call.over_at - life.beat >= self.lease_seconds - TOLERANCE_SECONDS

    def is_early(self, life: JobLife, call: TimedCall) -> bool:
        """Whether the call was over before the job can have become what it is."""
        return life.beat is not None and call.over_at is not None and call.over_at < life.beat - TOLERANCE_SECONDS

    def counts(self, life: JobLife, call: TimedCall) -> bool:
        """Whether a claim's attempt number is the right one, and one claim more is allowed."""
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
"""The rest is about rows that go, claims that think again, and other jobs' ends: no answer depends on it."""


def _outcomes() -> dict[tuple[str, State | None], tuple[State, Meaning]]:
    """(operation, before) -> what comes of it; of several states after it a live one."""
    found: dict[tuple[str, State | None], tuple[State, Meaning]] = {}
    for row in life():
        if row.meaning in _COUNTED and row.after is not None:
            known = found.get((row.operation, row.before))
            if known is None or (known[0] in FINAL and row.after in LIVE):
                found[row.operation, row.before] = (row.after, row.meaning)
    return found


_OUTCOMES = _outcomes()
HELPFUL = frozenset(operation for (operation, _), (after, _) in _OUTCOMES.items() if after in LIVE)
"""What may explain another call's answer though its own was lost: nothing that is accepted needs a job to be over."""


def _always(specification: Specification, life: JobLife, call: TimedCall) -> bool:
    return True


def _own(specification: Specification, life: JobLife, call: TimedCall) -> bool:
    """A settlement that does not say on which claim it rests is taken for the current one's."""
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
"""What a transition needs beside its row in the table."""


def _claimed(specification: Specification, life: JobLife, call: TimedCall, state: State) -> JobLife:
    beat = call.began_at if life.beat is None or call.began_at is None else max(life.beat, call.began_at)
    return JobLife(state, call.number, settled=False, attempt=life.attempt + 1, beat=beat)


def _taken_over(specification: Specification, life: JobLife, call: TimedCall, state: State) -> JobLife:
    """A takeover comes no sooner than the former lease's end, whenever it was begun."""
    return _claimed(specification, _reclaimed(specification, life, call, state), call, state)


def _reclaimed(specification: Specification, life: JobLife, call: TimedCall, state: State) -> JobLife:
    """What was taken back was so no sooner than its lease's end, whenever the call was begun."""
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
    """A settlement accepted once more of him whose settlement the job had last changes nothing and is no harm."""
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
"""What may be accepted and leave the job's state as it is: a key that a live job bears already, for one."""


def _object_enqueue(specification: Specification, life: JobLife, call: TimedCall) -> Objection:
    if call.keyed:
        return Objection(DUPLICATE_KEY, f"the job that it was answered with was {_said(life)} already")
    return Objection(LOST_JOB, "another enqueue had added the job that it was answered with, so one of them was lost")


def _object_claim(specification: Specification, life: JobLife, call: TimedCall) -> Objection:
    if life.state is State.RUNNING and not specification.lapsed(life, call, presumed=False):
        return Objection(DOUBLE_CLAIM, f"the claim of call {life.claim} was current and nobody can have taken it back")
    if life.state in FINAL:
        return Objection(RESURRECTION, f"the job was {_said(life)}, which is final")
    if life.state is None:
        return Objection(PHANTOM_JOB, "no enqueue can have added the job before")
    if call.attempt is not None and call.attempt != life.attempt + 1:
        return Objection(
            ATTEMPT_MISCOUNT, f"it was answered with attempt {call.attempt} after {counted(life.attempt, 'claim')}"
        )
    most = specification.attempts_max
    return Objection(
        ATTEMPT_OVERRUN, f"the job had been claimed {often(life.attempt)}, which is all that {most} allows"
    )


def _object_holder(specification: Specification, life: JobLife, call: TimedCall) -> Objection:
    anomaly = ZOMBIE_HEARTBEAT if call.operation == HEARTBEAT.name else STALE_SETTLEMENT
    rests = (
        f"the claim that it rests on, call {call.claim}," if call.claim is not None else "whatever claim it rests on"
    )
    if life.state is State.RUNNING:
        return Objection(anomaly, f"{rests} was not current: the job was held by call {life.claim}")
    return Objection(anomaly, f"{rests} was not current: the job was {_said(life)}")


def _object_cancel(specification: Specification, life: JobLife, call: TimedCall) -> Objection:
    if life.state is None:
        return Objection(PHANTOM_JOB, "no enqueue can have added the job before")
    return Objection(RESURRECTION, f"the job was {_said(life)}, which is final")


def _said(life: JobLife) -> str:
    return life.state.value if life.state is not None else "not there"


_OBJECTIONS: dict[str, Callable[[Specification, JobLife, TimedCall], Objection]] = {
    ENQUEUE.name: _object_enqueue,
    CLAIM.name: _object_claim,
    CANCEL.name: _object_cancel,
    **dict.fromkeys((HEARTBEAT.name, *SETTLEMENTS), _object_holder),
}
