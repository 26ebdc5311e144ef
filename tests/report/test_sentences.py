"""The sentence of each fact: one tone, none forgotten, and none that changes without being noticed."""

from __future__ import annotations

import pytest
from attrs import frozen

from pgqmodel.model import facts as known
from pgqmodel.model.facts import Answered, Changed, Claimed, Fact, JobSeen, JobsSeen, Moment, Yet
from pgqmodel.operations import Meaning, State, Status
from pgqmodel.promises import delivery_reasons as delivery
from pgqmodel.promises import order_reasons as orders
from pgqmodel.promises import reasons
from pgqmodel.promises import search_reasons as searches
from pgqmodel.promises import waiting_reasons as waiting
from pgqmodel.promises.delivery_reasons import LineFate
from pgqmodel.report import SENTENCES, told

J1 = JobSeen(job="J1", state=State.PENDING, run="r1", stage=2, columns=())
J2 = JobSeen(job="J2", state=State.RUNNING, run=None, stage=None, columns=(("run_at", Moment(31.5, 0.5)), ("n", 3)))
CHANGED = Changed(
    job="J1",
    before=State.RUNNING,
    after=None,
    meaning=Meaning.LOST,
    client="A",
    operation="complete",
    step=6,
)
RECLAIMED = Changed(
    job="J1",
    before=State.RUNNING,
    after=State.PENDING,
    meaning=Meaning.RECLAIMED,
    client="M",
    operation="reclaim",
    step=4,
)
CLAIMED = Claimed(client="A", job="J1", step=2, ended=RECLAIMED)
LOCKED = Answered(client="B", operation="lock", job="J2", begun=None, step=7, status=Status.OK)
COMPLETED = Answered(client="A", operation="complete", job="J1", begun=5, step=6, status=Status.OK)
DOING = waiting.Doing(client="A", operation="complete", job="J1", begun=5)
SHARED = {
    "Yet A has no claim of the job.": Yet(known.NoClaim(client="A", job=None)),
    "J1 (pending, stage 2 of run r1).": J1,
    "J2 (running, run_at 31 s, n 3) and 4 more.": JobsSeen((J2,), more=4),
    "A's complete changed J1 from running to no row at step 6.": CHANGED,
    "M's reclaim took J1 back at step 4.": RECLAIMED,
    "J1 turned from absent to pending at step 3.": Changed(
        job="J1", before=None, after=State.PENDING, meaning=Meaning.CONJURED, client=None, operation="", step=3
    ),
    "B took J1 over at step 5.": known.TookOver(client="B", job="J1", step=5),
    "A claimed J1 at step 2; M's reclaim took J1 back at step 4.": CLAIMED,
    "A claimed J1 at step 2; M's reclaim took J1 back at step 4. B claimed J1 at step 5 and has not settled it.": (
        known.ClaimsMade((CLAIMED, Claimed(client="B", job="J1", step=5)))
    ),
    "A has no claim of J1.": known.NoClaim(client="A", job="J1"),
    "The claim was 29 s old: the timeout is 30 s.": known.LeaseAge(beat_step=None, age=29.0, timeout=30.0),
    "Its last accepted heartbeat, at step 3, was 0.5 s old: the timeout is 30 s.": known.LeaseAge(
        beat_step=3, age=0.5, timeout=30.0
    ),
    "A's complete of J1 (begun at step 5) was accepted at step 6.": COMPLETED,
    "B's lock of J2 was granted at step 7.": LOCKED,
    "B's claim was answered with J1 at step 5.": known.GivenJob(client="B", job="J1", step=5),
    "A was granted the lock of prod at step 3 and still holds it.": known.Granted(
        client="A", environment="prod", step=3
    ),
    "A was granted the lock of prod at step 3; the answer to A's unlock was lost.": known.Granted(
        client="A", environment="prod", step=3, freed=known.UnlockLost("A")
    ),
    "Nobody was ever granted the lock of prod.": known.NeverGranted("prod"),
    "A unlocked it at step 4.": known.Unlocked(client="A", step=4),
    "the answer to A's unlock was lost.": known.UnlockLost("A"),
    "Its lease lasts until 31 s.": known.LeaseUntil(until=Moment(1031.0, 1000.0)),
    "A's session had not ended, and its lease with it.": known.SessionAlive(client="A"),
    "A's retry gave J1 back at step 4.": known.GaveBack(client="A", operation="retry", job="J1", step=4),
    "A's transaction ended with fail at step 4.": known.TransactionEnded(client="A", operation="fail", step=4),
    "A's session ended at step 4.": known.SessionEnded(client="A", step=4),
    "A had a new session by step 4.": known.NewSession(client="A", step=4),
}
OF_JOBS = {
    "J1 was completed, which is final.": reasons.WasFinal(job="J1", state=State.COMPLETED),
    "J1 was absent: nobody had settled it.": reasons.Unsettled(job="J1", state=None),
    "P's enqueue changed J1 from no row to completed at step 2: it was over from the start.": reasons.OverFromTheStart(
        Changed(
            job="J1",
            before=None,
            after=State.COMPLETED,
            meaning=Meaning.CONJURED,
            client="P",
            operation="enqueue",
            step=2,
        )
    ),
    "nobody had claimed it, so nobody ever ran it.": reasons.NeverRun(),
    "no row of J1 was ever there.": reasons.NoRow("J1"),
    "A began to run J1 at step 4.": reasons.AtWork(client="A", job="J1", step=4),
    "Delivery is at-most-once, and its holder did not give J1 back.": reasons.OnceAtMost("J1"),
    "A's claim was answered at step 4 without J1, which it had ended: nobody runs it.": reasons.NotGiven(
        client="A", job="J1", step=4
    ),
    "No enqueue committed J1.": reasons.NotEnqueued(job="J1", shown=True),
    "No committed transaction ever enqueued J1.": reasons.NotEnqueued(job="J1", shown=False),
    "P's enqueue (begun at step 1) was accepted with J1 at step 2.": reasons.EnqueueAnswered(
        client="P", begun=1, job="J1", step=2
    ),
    "A's complete changed J1 from running to no row at step 6, and J1 is not the job that it was about.": (
        reasons.ChangedAnother(CHANGED)
    ),
    "B's claim took J1 at step 5.": reasons.Took(client="B", job="J1", step=5),
    "Its claim was 1 s old, less than the timeout of 30 s.": reasons.LeaseAlive(beat_step=None, age=1.0, timeout=30.0),
    "Its last heartbeat, at step 3, was 1 s old, less than the timeout of 30 s.": reasons.LeaseAlive(
        beat_step=3, age=1.0, timeout=30.0
    ),
    "That was claim 4 of J1, and max_attempts is 3.": reasons.OverMaximum(job="J1", number=4, most=3),
    "It was claimed 3 times, which is all that max_attempts allows.": reasons.Spent(job="J1", claims=3),
    "J1 was claimed once, so its attempt number is 1.": reasons.AttemptDue(job="J1", claims=1, attempt=1),
    "it shows 2 at step 5, being pending.": reasons.AttemptShown(job="J1", attempt=2, state=State.PENDING, step=5),
    "A's claim could have had J1 (pending, stage 2 of run r1).": reasons.PassedOver(client="A", jobs=JobsSeen((J1,))),
    "A's claim could have had J1 (pending, stage 2 of run r1), which comes before J2 (running, run_at 31 s, n 3) "
    "by n desc, run_at asc.": reasons.PassedOver(
        client="A", jobs=JobsSeen((J1,)), taken=J2, order=(("n", "desc"), ("run_at", "asc"))
    ),
    "J1 (pending, stage 2 of run r1) could be claimed from before A's claim (begun at step 4) until after it, and "
    "comes before J2 (running, run_at 31 s, n 3) by n asc.": reasons.PassedOver(
        client="A", jobs=JobsSeen((J1,)), begun=4, taken=J2, order=(("n", "asc"),)
    ),
    "No other transaction was open.": reasons.NothingElseOpen(),
    "Nobody who was in flight meanwhile had it, as their ends show.": reasons.NothingHadIt(),
    "it took J2 at step 5.": reasons.Chose(client="A", job="J2", step=5),
    "it took J2, and was answered at step 5.": reasons.Chose(client="A", job="J2", step=5, answered=True),
    "it found nothing at step 5.": reasons.FoundNothing(client="A", step=5),
    "J2 needs J1, J0: each of them must complete first.": reasons.NeedsFirst(job="J2", needs=("J1", "J0")),
    "J2 is of stage 2 of run r1: every job of the stages before it must complete first.": reasons.StageFirst(
        job="J2", stage=2, run="r1"
    ),
    "J1 (pending, stage 2 of run r1) had not completed when A's claim looked, nor when it committed.": (
        reasons.Unfinished(jobs=JobsSeen((J1,)), client="A")
    ),
    "At most 1 job with environment = 'prod' may run at an instant.": reasons.LimitIs(
        limit=1, column="environment", key="prod"
    ),
    "J1, J2 run after step 5.": reasons.AllRunning(jobs=("J1", "J2"), step=5),
    "At most one job with the key 'k' may be pending or running.": reasons.KeyIsOnce("k"),
    "at step 5 there are J1 (pending, stage 2 of run r1).": reasons.KeyShared(step=5, jobs=JobsSeen((J1,))),
    "P's enqueue of step 3 is one job.": reasons.EnqueueIsOne(client="P", step=3),
    "it added J1 and J2.": reasons.AddedJobs(("J1", "J2")),
    "P's enqueue of step 3 was accepted, when no live job had its key.": reasons.KeyWasFree(client="P", step=3),
    "it was given J1, which was failed already.": reasons.GivenFinished(job="J1", state=State.FAILED),
    "Run r1 has J1 (pending, stage 2 of run r1), so its status is pending or running.": reasons.RunHas(
        run="r1", jobs=JobsSeen((J1,)), due=(State.PENDING, State.RUNNING)
    ),
    "Run r1 has jobs that are failed, pending, so its status is running.": reasons.RunHas(
        run="r1", jobs=(State.FAILED, State.PENDING), due=(State.RUNNING,)
    ),
    "it shows pending after step 5.": reasons.RunShows(status=State.PENDING, step=5),
    "it showed no status at all in the same snapshot.": reasons.RunShows(status=None),
}
OF_WAITING = {
    "B's lock of J2 was granted at step 7, for the same environment.": waiting.GrantedBeside(LOCKED),
    "B's lock was refused at step 7, with no other call in flight.": waiting.RefusedAlone(
        Answered(client="B", operation="lock", job=None, begun=None, step=7, status=Status.REFUSED)
    ),
    "A's complete of J1 (begun at step 5) was accepted at step 6, so it had held it until then.": waiting.HeldUntil(
        COMPLETED
    ),
    "A (complete of J1, begun at step 5).": DOING,
    "A (complete of J1, begun at step 5), B (idle) wait for each other: each holds what the next one needs.": (
        waiting.CycleOfWaits((DOING, waiting.Doing(client="B")))
    ),
    "B's transaction was rolled back at step 5 to end it.": waiting.RolledBack(client="B", step=5),
    "A's complete of J1, begun at step 5, failed at step 6: the server found a deadlock (40P01).": (
        waiting.DeadlockFound(call=DOING, step=6, code="40P01")
    ),
    "Faults stopped, every client was connected, leases lapsed and everybody had a turn until nothing moved.": (
        waiting.DrainWentQuiet()
    ),
    "J1 (pending, stage 2 of run r1) is not final.": waiting.NotFinal(J1),
    "It waits for J1 (pending, stage 2 of run r1).": waiting.WaitsFor(JobsSeen((J1,))),
    "A's session had ended, and nobody did anything for 31 s: the timeout is 30 s.": waiting.QuietFor(
        client="A", seconds=31.0, timeout=30.0
    ),
    "Every maintenance operation had its turns, and none promoted it.": waiting.NeverPromoted(),
    "M's reclaim left it at step 8: J1 was still running.": waiting.LeftRunning(client="M", job="J1", step=8),
    "J1 always fails; it was claimed 3 times since the drain began at step 4.": waiting.AlwaysFails(
        job="J1", claims=3, step=4
    ),
    "J1 (pending, stage 2 of run r1) had no turn.": waiting.NoTurn(JobsSeen((J1,))),
}
OF_DELIVERY = {
    "A's line 'x' of J1 was accepted at step 5.": delivery.LineAccepted(client="A", line="x", job="J1", step=5),
    f"A's line '{'x' * 199} of J1 was accepted at step 5.": delivery.LineAccepted(
        client="A", line="x" * 8000, job="J1", step=5
    ),
    "it is not among the job's lines.": delivery.LineCount(line="x", times=0),
    "'x' is there 2 times.": delivery.LineCount(line="x", times=2),
    "'x', which was committed before it, comes after it by sequence.": delivery.LineBehind("x"),
    "The line 'x' of J1 had been accepted.": delivery.LineStood(line="x", job="J1"),
    "it is gone after step 5.": delivery.LineGone(5),
    "its commit added no such line.": delivery.CommitAdded(0),
    "its commit added it 2 times.": delivery.CommitAdded(2),
    "it has sequence 3, and a line accepted before it began has 4.": delivery.SequenceBehind(sequence=3, accepted=4),
    **{
        text: delivery.LineReceived(subscriber="s1", sequence=3, job="7", fate=fate, after=4)
        for text, fate in {
            "s1 received line 3 of 7, which nobody wrote.": LineFate.INVENTED,
            "s1 received line 3 of 7 twice.": LineFate.DOUBLED,
            "s1 received line 3 of 7 after line 4.": LineFate.LATE,
            "s1 received line 3 of 7 with another text than was committed.": LineFate.ALTERED,
            "s1 never received line 3 of 7, which was committed.": LineFate.MISSING,
        }.items()
    },
    "Job 7 was enqueued while workers were idle and listening on job_queue.": delivery.IdleListening(
        job="7", channel="job_queue"
    ),
    "it was never claimed: no notification woke it.": delivery.WaitedInVain(waited=None, rested=0.0),
    "it waited 9.500 s, for a worker that had rested 20.000 s, which is its whole poll: no notification woke it.": (
        delivery.WaitedInVain(waited=9.5, rested=20.0)
    ),
}
EARLY = orders.ClaimedAt(client="A", job="J2", step=4)
BACK = orders.TakenBack(job="J1", step=4)
BUILD, DEPLOY = orders.OrderPoint("completed", "J1"), orders.OrderPoint("claimed", "J2")
OF_ORDERS = {
    "J1 must complete before J2 is claimed, because J2 needs J1.": orders.CompletesFirst(needed="J1", job="J2"),
    "J1 must complete before J2 is claimed, because stage 2 of run r1 needs stage 1.": orders.OrderEdge(
        before=BUILD,
        after=DEPLOY,
        why=orders.CompletesFirst(needed="J1", job="J2", run="r1", stage=2, needed_stage=1),
        demanded=True,
    ),
    "Yet A claimed J2 at step 4.": Yet(orders.OrderEdge(before=DEPLOY, after=BUILD, why=EARLY, demanded=False)),
    "A claimed J2 at step 4.": EARLY,
    "A claimed J2 at step 4, and J1 never completed.": orders.NeverCompleted(claimed=EARLY, needed="J1"),
    "J1 completed only at step 9.": orders.CompletedAt(job="J1", step=9),
    "Step 4 came before step 9.": orders.StepBefore(4, 9),
    "Attempt 1 of J1 (B) must not come after attempt 2 (A), because attempt numbers grow with every claim.": (
        orders.AttemptsGrow(job="J1", client="B", attempt=1, former_client="A", former_attempt=2)
    ),
    "step 4 came before step 9.": orders.ClaimsInOrder(4, 9),
    "A's complete of J1 rests on its claim of step 2, so it must be accepted before that claim is over.": (
        orders.RestsOnClaim(client="A", operation="complete", job="J1", claimed=2)
    ),
    "J1 was taken back at step 4.": BACK,
    "J1 was taken back at step 4, and the complete was accepted at step 9, after it.": orders.AcceptedLate(
        over=BACK, operation="complete", step=9
    ),
    "A claimed J2 at step 4, and the heartbeat was accepted at step 9, after it.": orders.AcceptedLate(
        over=EARLY, operation="heartbeat", step=9
    ),
    "A must let go of the lock of prod, granted at step 3, before it is granted to B, because one session holds it "
    "at a time.": orders.ReleasedFirst(client="A", environment="prod", granted=3, other="B"),
    "B was granted it at step 5.": orders.GrantedAt(client="B", step=5),
    "A held it until step 9, as its deploy of then shows.": orders.HeldAsShown(client="A", step=9, operation="deploy"),
    "A must wait for a lock that B holds.": orders.MustWait("A", "B"),
}
SPAN = searches.CallSpan(client="A", operation="claim", step=3, returned=5)
LOST = searches.CallSpan(client="B", operation="claim", step=4, returned=None)
OVER = searches.EndOfSession(client="A", claimed=3)
OF_SEARCHES = {
    "A's claim (step 3 to 5).": SPAN,
    "B's claim (step 4, never answered).": LOST,
    "the end of the session of A's claim of step 3.": OVER,
    "Nothing can have happened to J1 before.": searches.NothingBefore("J1"),
    "The longest order that explains what was answered before, for J1: A's claim (step 3 to 5), then the end of the "
    "session of A's claim of step 3.": searches.LongestOrder(job="J1", earlier=0, calls=(SPAN, OVER)),
    "The longest order that explains what was answered before, for J1: 2 calls, then A's claim (step 3 to 5).": (
        searches.LongestOrder(job="J1", earlier=2, calls=(SPAN,))
    ),
    "A's claim (step 3 to 5) of J1 was accepted.": searches.AnswerAccepted(call=SPAN, job="J1"),
    "whatever the order, and whatever became of lost answers, it cannot come next: the job was failed, which is "
    "final.": searches.CannotComeNext(searches.WasOver(State.FAILED)),
    "In another order: no enqueue can have added the job before.": searches.InAnotherOrder(searches.NotYetEnqueued()),
    "whoever held the job before lost it only when its lease had lapsed, later.": searches.LapsedLater(),
    "the job that it was answered with was pending already.": searches.WasAlready(State.PENDING),
    "another enqueue had added the job that it was answered with, so one of them was lost.": (
        searches.EnqueuedAlready()
    ),
    "no enqueue can have added the job before.": searches.NotYetEnqueued(),
    "the claim of call 4 was current and nobody can have taken it back.": searches.HeldByClaim(4),
    "the job was completed, which is final.": searches.WasOver(State.COMPLETED),
    "it was answered with attempt 3 after 1 claim.": searches.AttemptAfter(attempt=3, claims=1),
    "the job had been claimed 3 times, which is all that 3 allows.": searches.ClaimedOut(claims=3, most=3),
    "the claim that it rests on, call 2, was not current: the job was held by call 4.": searches.ClaimNotCurrent(
        claim=2, holder=4
    ),
    "whatever claim it rests on was not current: the job was not there.": searches.ClaimNotCurrent(claim=None),
    "the claim that it rests on, call 2, was not current: the job was pending.": searches.ClaimNotCurrent(
        claim=2, state=State.PENDING
    ),
    "Each by itself can be explained: J1, J2. But each needs an enqueue whose answer was lost.": (
        searches.SharedByJobs(jobs=("J1", "J2"), operation="enqueue")
    ),
    "These can have served: B's claim (step 4, never answered).": searches.CanHaveServed((LOST,)),
    "These can have served: none.": searches.CanHaveServed(()),
    "such a call has served one job at most, and there is no way to share them out.": searches.ServesOneJob(),
    "The search was given up after 7 points: the limit is 60 s.": searches.SearchGivenUp(explored=7, seconds_max=60.0),
    "Not judged to the end: J1, J2 and 4 more.": searches.NotJudged(jobs=("J1", "J2"), more=4),
    "Neither an order nor its impossibility was found.": searches.NoOrderFound(),
}
EVERY: dict[str, Fact] = {**SHARED, **OF_JOBS, **OF_WAITING, **OF_DELIVERY, **OF_ORDERS, **OF_SEARCHES}


@pytest.mark.parametrize(("sentence", "fact"), EVERY.items(), ids=EVERY)
def test_a_fact_has_its_sentence(sentence: str, fact: Fact) -> None:
    """What a reader is told of each fact, to the letter: stored traces and reports have these words."""
    assert told([fact]) == (sentence,)


def test_no_kind_of_fact_is_without_a_sentence() -> None:
    """Every kind that the package offers is told in words, and every sentence is tested here."""
    offered = {name for module in (known, reasons, waiting, delivery, orders, searches) for name in module.__all__}
    kinds = offered - {"Fact", "Moment", "LineFate", "OrderPoint"}
    assert kinds == set(SENTENCES) == {type(fact).__name__ for fact in EVERY.values()}


def test_a_fact_that_nobody_gave_a_sentence_is_told_all_the_same() -> None:
    """A finding by a promise of one's own is not lost because its fact has no sentence."""

    @frozen
    class Loud(Fact):
        client: str
        decibels: int

    assert told([Yet(Loud("A", 90))]) == ("Yet Loud: client A, decibels 90.",)
