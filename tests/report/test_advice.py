"""Advice and the notes of a dry run, in words: what an owner reads, for each thing that can be understood."""

from __future__ import annotations

import pytest
from attrs import evolve

from pgqmodel.operations import Lease, Status
from pgqmodel.report import advise, explain
from pgqmodel.understood import Fence, OperationSeen, StatementSeen, Understanding

COMPLETE = OperationSeen(
    operation="complete",
    client="A",
    status=Status.OK,
    statements=(StatementSeen(number=1, tag="UPDATE 1"),),
    changes=("J1: running -> completed",),
    fence=Fence(names=("attempt",), late=Status.REFUSED, statement=1),
)
IDLE = evolve(COMPLETE, statements=(StatementSeen(number=1, tag="UPDATE 0"),), changes=(), met="J1 running", fence=None)
RECLAIM = evolve(IDLE, operation="reclaim", client="M")


def notes(seen: OperationSeen, **whole: object) -> str:
    """The notes about one operation, and what holds for the file."""
    understood = Understanding(operations=(seen,), leases=(Lease.HEARTBEAT,), lease_seconds=30.0, assumed=())
    return "\n".join(explain(evolve(understood, **whole)))


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (COMPLETE, "A ran it: accepted (statement 1 UPDATE 1)."),
        (COMPLETE, "Its fence is statement 1: refused with another attempt."),
        (evolve(COMPLETE, fence=Fence(names=("worker",), statement=1)), "A name alone is no fence"),
        (evolve(COMPLETE, fence=Fence(ignored=("attempt",))), "Accepted all the same with another attempt."),
        (evolve(COMPLETE, fence=Fence()), "It has no fence"),
        (evolve(COMPLETE, fence=Fence()), "No way was found to take a job from its holder"),
        (evolve(COMPLETE, fence=Fence(late=Status.REFUSED, statement=1)), "to another one: refused by statement 1."),
        (evolve(COMPLETE, fence=Fence(late=Status.OK, late_changes=True)), "A LATE ONE IS ACCEPTED"),
        (evolve(COMPLETE, fence=Fence(late=Status.OK)), "A LATE ONE IS TOLD YES, and no job changes"),
        (evolve(COMPLETE, fence=Fence(silent=("attempt",))), "With another attempt it is told yes"),
        (evolve(COMPLETE, fence=None), "The open transaction is its fence"),
        (evolve(COMPLETE, status=Status.ERROR, error="23505"), "A ran it: ended with the error 23505"),
        (evolve(COMPLETE, leaves_open=True), "It leaves its transaction open."),
        (evolve(COMPLETE, changes=()), "No observed column of any job shows that it has run."),
        (IDLE, "IT DID NOTHING: statement 1 touched no row. There were: J1 running."),
        (evolve(IDLE, status=None, statements=()), "NOT TRIED"),
        (RECLAIM, "It did nothing, nor did it a day later. There were: J1 running."),
        (evolve(RECLAIM, changes=("J1: running -> pending",), patience=86_400.0), "A day later it did this"),
        (
            evolve(COMPLETE, operation="enqueue", jobs=("J1",), job_from="commit"),
            "The job that it adds: what its commit changed.",
        ),
        (
            evolve(COMPLETE, operation="claim", jobs=("J1", "J2"), there=3, job_from="statement 2"),
            "It takes 2 jobs at once, of the 3 that were there: statement 2 returns it.",
        ),
    ],
)
def test_what_was_understood_of_an_operation_is_said(seen: OperationSeen, said: str) -> None:
    """Each thing that a dry run finds out has a sentence of its own."""
    assert said in notes(seen)


def test_what_holds_for_the_whole_file_is_said() -> None:
    """The lease and whether it was said, the clock, chance, and the words that were not seen."""
    text = notes(
        COMPLETE,
        assumed=("heartbeat_timeout_seconds",),
        follows_clock="J1: running -> pending",
        clock_columns=("eligible_at",),
        chance_columns=("job", "token"),
        words_seen=("new",),
        words_unseen=("dead",),
    )
    assert "A holder's right to its job ends once its claim, or its last accepted heartbeat, is 30 s old." in text
    assert "That is assumed" in text
    assert "with nobody doing anything, J1: running -> pending." in text
    assert "Of the observed columns, eligible_at depends on the clock." in text
    assert "Of the observed columns, job, token depend on chance." in text
    assert "Words of states that were seen: new." in text
    assert "Not seen: dead." in text


def test_a_promise_that_was_seen_broken_is_not_recommended() -> None:
    """What could be declared and what would break are two lists; without either there is nothing to say."""
    broken = {"promise": "final-states", "anomaly": "resurrection", "operation": "cancel", "steps": 6}
    assert list(advise(["no-lost-job", "final-states"], [broken])) == [
        "You could also declare: no-lost-job.",
        "not declared, and would break: final-states (6 steps), resurrection by cancel",
    ]
    assert list(advise([], [])) == []
