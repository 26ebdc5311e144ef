"""The sentences of facts, for a story, for a simulation and for `verify` alike; other modules make no sentences.

Rules give facts (`model.facts`, `promises.reasons`). Here each kind of fact has its sentence. So the tone is the same
everywhere, and a word is changed in one place. A program that adds a promise with its own facts adds their sentences
with `SENTENCES.add`. A fact without a sentence is told by its name and its fields: no finding is lost for its wording.

Each entry makes a clause without a full stop. So the same entry serves as a whole sentence, after "Yet", and inside
the sentence of another fact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import fields, frozen

from pgqmodel.catalogue import Catalogue
from pgqmodel.model import facts as known
from pgqmodel.model.facts import Changed, Fact, JobSeen, JobsSeen, Moment, Yet
from pgqmodel.moments import tell_moment
from pgqmodel.operations import LOCK, Meaning, Status
from pgqmodel.phrases import counted, often
from pgqmodel.promises import delivery_reasons as delivery
from pgqmodel.promises import order_reasons as orders
from pgqmodel.promises import reasons
from pgqmodel.promises import search_reasons as searches
from pgqmodel.promises import waiting_reasons as waiting
from pgqmodel.report.order_sentences import OF_PATHS, OF_SEARCHES

__all__ = ["SENTENCES", "Sentence", "clause", "told"]


@frozen
class Sentence:
    """How one kind of fact is told: `tell` makes a clause of it."""

    fact: type[Fact]
    tell: Callable[[Any], str]

    @property
    def name(self) -> str:
        """The name of the kind of fact."""
        return self.fact.__name__


def told(facts: Iterable[Fact]) -> tuple[str, ...]:
    """Facts as sentences, one each."""
    return tuple(f"{clause(fact)}." for fact in facts)


def clause(fact: Fact) -> str:
    """One fact as a clause, without a full stop."""
    sentence = SENTENCES.get(type(fact).__name__)
    return sentence.tell(fact) if sentence is not None else _plain(fact)


def _plain(fact: Any) -> str:
    """A fact that has no sentence, by its name and its fields."""
    values = ", ".join(f"{each.name} {getattr(fact, each.name)}" for each in fields(type(fact)))
    return f"{type(fact).__name__}: {values}"


# -- facts that several promises share ---------------------------------------------------------------------------------


def _seconds(value: float) -> str:
    """A duration: "31 s"."""
    return f"{round(value, 3):g} s"


def _job_seen(fact: JobSeen) -> str:
    """A job with what distinguishes it: "J2 (pending, stage 2 of run r1)", "J3 (pending, run_at 31 s)"."""
    words = [fact.state.value]
    if fact.run is not None and fact.stage is not None:
        words.append(f"stage {fact.stage} of run {fact.run}")
    for name, value in fact.columns:
        words.append(f"{name} {tell_moment(value.at, value.start) if isinstance(value, Moment) else value}")
    return f"{fact.job} ({', '.join(words)})"


def _jobs_seen(fact: JobsSeen) -> str:
    return ", ".join(map(_job_seen, fact.jobs)) + (f" and {fact.more} more" if fact.more else "")


def _changed(fact: Changed) -> str:
    if fact.client is None:
        return f"{fact.job} turned from {fact.before or 'absent'} to {fact.after or 'absent'} at step {fact.step}"
    made = f"changed {fact.job} from {fact.before or 'no row'} to {fact.after or 'no row'}"
    does = _DONE.get(fact.meaning, made).format(job=fact.job)
    return f"{fact.client}'s {fact.operation} {does} at step {fact.step}"


_DONE = {
    Meaning.CLAIMED: "took {job}",
    Meaning.TAKEN: "took {job} over",
    Meaning.RECLAIMED: "took {job} back",
    Meaning.CANCELLED: "cancelled {job}",
}
"""The words for changes that have a name; for other changes the states before and after are told."""


def _claimed(fact: known.Claimed) -> str:
    ended = f"; {clause(fact.ended)}" if fact.ended is not None else " and has not settled it"
    return f"{fact.client} claimed {fact.job} at step {fact.step}{ended}"


def _granted(fact: known.Granted) -> str:
    freed = f"; {clause(fact.freed)}" if fact.freed is not None else " and still holds it"
    return f"{fact.client} was granted the lock of {fact.environment} at step {fact.step}{freed}"


def _answered(fact: known.Answered) -> str:
    """In words: "A's complete of J1 (begun at step 4) was accepted at step 6"."""
    about = f" of {fact.job}" if fact.job is not None else ""
    begun = f" (begun at step {fact.begun})" if fact.begun is not None else ""
    accepted = "granted" if fact.operation == LOCK.name else "accepted"
    answer = accepted if fact.status is Status.OK else "refused"
    return f"{fact.client}'s {fact.operation}{about}{begun} was {answer} at step {fact.step}"


def _lease_age(fact: known.LeaseAge) -> str:
    began = "The claim" if fact.beat_step is None else f"Its last accepted heartbeat, at step {fact.beat_step},"
    return f"{began} was {_seconds(fact.age)} old: the timeout is {_seconds(fact.timeout)}"


_SHARED: dict[type[Fact], Callable[[Any], str]] = {
    Yet: lambda fact: f"Yet {clause(fact.what)}",
    JobSeen: _job_seen,
    JobsSeen: _jobs_seen,
    Changed: _changed,
    known.TookOver: lambda fact: f"{fact.client} took {fact.job} over at step {fact.step}",
    known.Claimed: _claimed,
    known.ClaimsMade: lambda fact: ". ".join(map(_claimed, fact.claims)),
    known.NoClaim: lambda fact: f"{fact.client} has no claim of {fact.job or 'the job'}",
    known.LeaseAge: _lease_age,
    known.Answered: _answered,
    known.GivenJob: lambda fact: f"{fact.client}'s claim was answered with {fact.job} at step {fact.step}",
    known.Granted: _granted,
    known.NeverGranted: lambda fact: f"Nobody was ever granted the lock of {fact.environment}",
    known.Unlocked: lambda fact: f"{fact.client} unlocked it at step {fact.step}",
    known.UnlockLost: lambda fact: f"the answer to {fact.client}'s unlock was lost",
    known.LeaseUntil: lambda fact: f"Its lease lasts until {tell_moment(fact.until.at, fact.until.start)}",
    known.SessionAlive: lambda fact: f"{fact.client}'s session had not ended, and its lease with it",
    known.GaveBack: lambda fact: f"{fact.client}'s {fact.operation} gave {fact.job} back at step {fact.step}",
    known.TransactionEnded: lambda fact: f"{fact.client}'s transaction ended with {fact.operation} at step {fact.step}",
    known.SessionEnded: lambda fact: f"{fact.client}'s session ended at step {fact.step}",
    known.NewSession: lambda fact: f"{fact.client} had a new session by step {fact.step}",
}


# -- facts about a job -------------------------------------------------------------------------------------------------


def _lease_alive(fact: reasons.LeaseAlive) -> str:
    """Like `_lease_age`, but told after a second claim, so "its" means the first claim."""
    began = "claim" if fact.beat_step is None else f"last heartbeat, at step {fact.beat_step},"
    return f"Its {began} was {_seconds(fact.age)} old, less than the timeout of {_seconds(fact.timeout)}"


def _passed_over(fact: reasons.PassedOver) -> str:
    jobs, order = _jobs_seen(fact.jobs), ", ".join(f"{column} {direction}" for column, direction in fact.order)
    place = f"comes before {_job_seen(fact.taken)} by {order}" if fact.taken is not None else ""
    if fact.begun is None:
        return f"{fact.client}'s claim could have had {jobs}" + (f", which {place}" if place else "")
    span = f"{fact.client}'s claim (begun at step {fact.begun})"
    return f"{jobs} could be claimed from before {span} until after it" + (f", and {place}" if place else "")


def _not_enqueued(fact: reasons.NotEnqueued) -> str:
    by = "No enqueue committed" if fact.shown else "No committed transaction ever enqueued"
    return f"{by} {fact.job}"


def _enqueue_answered(fact: reasons.EnqueueAnswered) -> str:
    return f"{fact.client}'s enqueue (begun at step {fact.begun}) was accepted with {fact.job} at step {fact.step}"


def _chose(fact: reasons.Chose) -> str:
    when = ", and was answered at step" if fact.answered else " at step"
    return f"it took {fact.job}{when} {fact.step}"


def _over_from_the_start(fact: reasons.OverFromTheStart) -> str:
    return f"{clause(fact.added)}: it was over from the start"


def _stage_first(fact: reasons.StageFirst) -> str:
    before = "every job of the stages before it must complete first"
    return f"{fact.job} is of stage {fact.stage} of run {fact.run}: {before}"


def _unfinished(fact: reasons.Unfinished) -> str:
    claim = f"{fact.client}'s claim looked, nor when it committed"
    return f"{_jobs_seen(fact.jobs)} had not completed when {claim}"


def _key_was_free(fact: reasons.KeyWasFree) -> str:
    return f"{fact.client}'s enqueue of step {fact.step} was accepted, when no live job had its key"


def _limit_is(fact: reasons.LimitIs) -> str:
    jobs = counted(fact.limit, "job")
    return f"At most {jobs} with {fact.column} = {fact.key!r} may run at an instant"


def _run_has(fact: reasons.RunHas) -> str:
    jobs = fact.jobs
    shown = _jobs_seen(jobs) if isinstance(jobs, JobsSeen) else f"jobs that are {', '.join(jobs)}"
    return f"Run {fact.run} has {shown}, so its status is {' or '.join(fact.due)}"


def _run_shows(fact: reasons.RunShows) -> str:
    if fact.step is not None:
        return f"it shows {fact.status} after step {fact.step}"
    return f"it showed {fact.status or 'no status at all'} in the same snapshot"


_OF_JOBS: dict[type[Fact], Callable[[Any], str]] = {
    reasons.WasFinal: lambda fact: f"{fact.job} was {fact.state}, which is final",
    reasons.Unsettled: lambda fact: f"{fact.job} was {fact.state or 'absent'}: nobody had settled it",
    reasons.OverFromTheStart: _over_from_the_start,
    reasons.NeverRun: lambda fact: "nobody had claimed it, so nobody ever ran it",
    reasons.NoRow: lambda fact: f"no row of {fact.job} was ever there",
    reasons.NotEnqueued: _not_enqueued,
    reasons.EnqueueAnswered: _enqueue_answered,
    reasons.ChangedAnother: lambda fact: (
        f"{_changed(fact.change)}, and {fact.change.job} is not the job that it was about"
    ),
    reasons.Took: lambda fact: f"{fact.client}'s claim took {fact.job} at step {fact.step}",
    reasons.AtWork: lambda fact: f"{fact.client} began to run {fact.job} at step {fact.step}",
    reasons.OnceAtMost: lambda fact: f"Delivery is at-most-once, and its holder did not give {fact.job} back",
    reasons.NotGiven: lambda fact: (
        f"{fact.client}'s claim was answered at step {fact.step} without {fact.job}, which it had ended: nobody runs it"
    ),
    reasons.LeaseAlive: _lease_alive,
    reasons.OverMaximum: lambda fact: f"That was claim {fact.number} of {fact.job}, and max_attempts is {fact.most}",
    reasons.Spent: lambda fact: f"It was claimed {often(fact.claims)}, which is all that max_attempts allows",
    reasons.AttemptDue: lambda fact: (
        f"{fact.job} was claimed {often(fact.claims)}, so its attempt number is {fact.attempt}"
    ),
    reasons.AttemptShown: lambda fact: f"it shows {fact.attempt} at step {fact.step}, being {fact.state}",
    reasons.PassedOver: _passed_over,
    reasons.NothingElseOpen: lambda fact: "No other transaction was open",
    reasons.NothingHadIt: lambda fact: "Nobody who was in flight meanwhile had it, as their ends show",
    reasons.Chose: _chose,
    reasons.FoundNothing: lambda fact: f"it found nothing at step {fact.step}",
    reasons.NeedsFirst: lambda fact: f"{fact.job} needs {', '.join(fact.needs)}: each of them must complete first",
    reasons.StageFirst: _stage_first,
    reasons.Unfinished: _unfinished,
    reasons.LimitIs: _limit_is,
    reasons.AllRunning: lambda fact: f"{', '.join(fact.jobs)} run after step {fact.step}",
    reasons.KeyIsOnce: lambda fact: f"At most one job with the key {fact.key!r} may be pending or running",
    reasons.KeyShared: lambda fact: f"at step {fact.step} there are {_jobs_seen(fact.jobs)}",
    reasons.EnqueueIsOne: lambda fact: f"{fact.client}'s enqueue of step {fact.step} is one job",
    reasons.AddedJobs: lambda fact: f"it added {' and '.join(fact.jobs)}",
    reasons.KeyWasFree: _key_was_free,
    reasons.GivenFinished: lambda fact: f"it was given {fact.job}, which was {fact.state} already",
    reasons.RunHas: _run_has,
    reasons.RunShows: _run_shows,
}


# -- facts about waiting -----------------------------------------------------------------------------------------------


def _doing(fact: waiting.Doing) -> str:
    if fact.operation is None:
        return "idle"
    about = f" of {fact.job}" if fact.job is not None else ""
    return f"{fact.operation}{about}, begun at step {fact.begun}"


def _cycle_of_waits(fact: waiting.CycleOfWaits) -> str:
    members = ", ".join(f"{member.client} ({_doing(member)})" for member in fact.members)
    return f"{members} wait for each other: each holds what the next one needs"


def _deadlock_found(fact: waiting.DeadlockFound) -> str:
    call = f"{fact.call.client}'s {_doing(fact.call)}"
    return f"{call}, failed at step {fact.step}: the server found a deadlock ({fact.code})"


def _drain_went_quiet(fact: waiting.DrainWentQuiet) -> str:
    return "Faults stopped, every client was connected, leases lapsed and everybody had a turn until nothing moved"


def _quiet_for(fact: waiting.QuietFor) -> str:
    quiet = f"{fact.client}'s session had ended, and nobody did anything for {_seconds(fact.seconds)}"
    return f"{quiet}: the timeout is {_seconds(fact.timeout)}"


def _always_fails(fact: waiting.AlwaysFails) -> str:
    since = f"since the drain began at step {fact.step}"
    return f"{fact.job} always fails; it was claimed {often(fact.claims)} {since}"


_OF_WAITING: dict[type[Fact], Callable[[Any], str]] = {
    waiting.GrantedBeside: lambda fact: f"{_answered(fact.grant)}, for the same environment",
    waiting.RefusedAlone: lambda fact: f"{_answered(fact.refusal)}, with no other call in flight",
    waiting.HeldUntil: lambda fact: f"{_answered(fact.shown)}, so it had held it until then",
    waiting.Doing: lambda fact: f"{fact.client} ({_doing(fact)})",
    waiting.CycleOfWaits: _cycle_of_waits,
    waiting.RolledBack: lambda fact: f"{fact.client}'s transaction was rolled back at step {fact.step} to end it",
    waiting.DeadlockFound: _deadlock_found,
    waiting.DrainWentQuiet: _drain_went_quiet,
    waiting.NotFinal: lambda fact: f"{_job_seen(fact.job)} is not final",
    waiting.WaitsFor: lambda fact: f"It waits for {_jobs_seen(fact.jobs)}",
    waiting.QuietFor: _quiet_for,
    waiting.NeverPromoted: lambda fact: "Every maintenance operation had its turns, and none promoted it",
    waiting.LeftRunning: lambda fact: (
        f"{fact.client}'s reclaim left it at step {fact.step}: {fact.job} was still running"
    ),
    waiting.AlwaysFails: _always_fails,
    waiting.NoTurn: lambda fact: f"{_jobs_seen(fact.jobs)} had no turn",
}


# -- facts about delivery ----------------------------------------------------------------------------------------------


def _line_accepted(fact: delivery.LineAccepted) -> str:
    """A line may have some thousand characters, so only its beginning is shown."""
    return f"{fact.client}'s line {fact.line!r:.200} of {fact.job} was accepted at step {fact.step}"


def _line_count(fact: delivery.LineCount) -> str:
    return f"{fact.line!r} is there {fact.times} times" if fact.times else "it is not among the job's lines"


def _line_behind(fact: delivery.LineBehind) -> str:
    return f"{fact.line!r}, which was committed before it, comes after it by sequence"


def _commit_added(fact: delivery.CommitAdded) -> str:
    return f"its commit added it {fact.times} times" if fact.times else "its commit added no such line"


def _sequence_behind(fact: delivery.SequenceBehind) -> str:
    return f"it has sequence {fact.sequence}, and a line accepted before it began has {fact.accepted}"


def _line_received(fact: delivery.LineReceived) -> str:
    does = "never received" if fact.fate is delivery.LineFate.MISSING else "received"
    line = f"line {fact.sequence} of {fact.job}"
    return f"{fact.subscriber} {does} {line}{_FATES[fact.fate].format(after=fact.after)}"


_FATES = {
    delivery.LineFate.INVENTED: ", which nobody wrote",
    delivery.LineFate.DOUBLED: " twice",
    delivery.LineFate.LATE: " after line {after}",
    delivery.LineFate.ALTERED: " with another text than was committed",
    delivery.LineFate.MISSING: ", which was committed",
}


def _waited_in_vain(fact: delivery.WaitedInVain) -> str:
    waited = "it was never claimed"
    if fact.waited is not None:
        rested = f"for a worker that had rested {fact.rested:.3f} s, which is its whole poll"
        waited = f"it waited {fact.waited:.3f} s, {rested}"
    return f"{waited}: no notification woke it"


_OF_DELIVERY: dict[type[Fact], Callable[[Any], str]] = {
    delivery.LineAccepted: _line_accepted,
    delivery.LineCount: _line_count,
    delivery.LineBehind: _line_behind,
    delivery.LineStood: lambda fact: f"The line {fact.line!r} of {fact.job} had been accepted",
    delivery.LineGone: lambda fact: f"it is gone after step {fact.step}",
    delivery.CommitAdded: _commit_added,
    delivery.SequenceBehind: _sequence_behind,
    delivery.LineReceived: _line_received,
    delivery.IdleListening: lambda fact: (
        f"Job {fact.job} was enqueued while workers were idle and listening on {fact.channel}"
    ),
    delivery.WaitedInVain: _waited_in_vain,
}

_OF_ORDERS: dict[type[Fact], Callable[[Any], str]] = {
    **OF_PATHS,
    **OF_SEARCHES,
    orders.OrderEdge: lambda fact: clause(fact.why),
    searches.CannotComeNext: lambda fact: (
        f"whatever the order, and whatever became of lost answers, it cannot come next: {clause(fact.because)}"
    ),
    searches.InAnotherOrder: lambda fact: f"In another order: {clause(fact.because)}",
}
SENTENCES: Catalogue[Sentence] = Catalogue(
    Sentence(fact, tell)
    for table in (_SHARED, _OF_JOBS, _OF_WAITING, _OF_DELIVERY, _OF_ORDERS)
    for fact, tell in table.items()
)
"""The sentence of every kind of fact, by the name of that kind."""
