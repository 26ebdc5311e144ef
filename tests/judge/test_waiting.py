"""Waiting jobs, maintenance of a target's own, and names that fit what happened: small histories, judged."""

from __future__ import annotations

from typing import Any

import pytest

from pgqmodel.catalogue import Catalogue
from pgqmodel.history import Advanced, Committed, Draining, Event, Invoked, Job, Observed, Ran, Returned
from pgqmodel.judge import Judge
from pgqmodel.operations import COMPLETE, OPERATIONS, Operation, State, Status, adding, maintenance
from pgqmodel.promises import Broken
from pgqmodel.report.sentences import told

WAITING, PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = State
EVERY = dict.fromkeys(
    (
        "exclusive-claim",
        "no-lost-job",
        "no-phantom-job",
        "final-states",
        "claim-complete",
        "lease",
        "recovery",
        "unique-key",
    ),
    True,
)
STAGE = maintenance("stage", [(WAITING, PENDING)])
PLAIN = OPERATIONS
STAGED = Catalogue((*OPERATIONS.values(), STAGE))


class _History:
    """Events of calls that go one after the other."""

    def __init__(self) -> None:
        self.events: list[Event] = [Advanced(step=0, seconds=0.0, now=1000.0), Observed(step=0, by=(), jobs={})]
        self.step = self.call = 0

    def do(
        self,
        client: str,
        operation: str,
        became: State | None,
        job: str = "J1",
        claim: int | None = None,
        **fields: Any,
    ) -> _History:
        """A call that is accepted, and what a job is once it has committed."""
        self.step += 1
        self.call += 1
        call = {"step": self.step, "client": client, "call": self.call}
        row = Job(job=job, state=became, order={}, **fields) if became is not None else None
        about = job if claim is not None else None
        answered = job if operation in {"enqueue", "claim"} else None
        self.events += [
            Invoked(worker=client, operation=operation, job=about, claim=claim, arguments={}, **call),
            Ran(sql="", parameters=(), tag="", error=None, open=False, **call),
            Committed(**call),
            Observed(step=self.step, by=(self.call,), jobs={job: row}),
            Returned(status=Status.OK, job=answered, error=None, **call),
        ]
        return self

    def drain(self, over: bool) -> _History:
        """A drain begins, or is over."""
        self.step += 1
        self.events.append(Draining(step=self.step, poison=None, over=over))
        return self

    def claims_nothing(self) -> _History:
        """A claim finds nothing."""
        self.step += 1
        self.call += 1
        call = {"step": self.step, "client": "B", "call": self.call}
        self.events += [
            Invoked(worker="B", operation="claim", job=None, claim=None, arguments={}, **call),
            Ran(sql="", parameters=(), tag="", error=None, open=False, **call),
            Returned(status=Status.EMPTY, job=None, error=None, **call),
        ]
        return self


def judged(history: _History, kinds: Catalogue[Operation] = PLAIN, **promises: Any) -> list[Broken]:
    """The first promise that a history breaks, if it breaks one."""
    judge = Judge(promises=promises or EVERY, settings={"heartbeat_timeout_seconds": 30}, kinds=kinds)
    return [broken for event in history.events if (broken := judge.examine(event)) is not None][:1]


HELD = {
    "promoted by maintenance": (_History().do("P", "enqueue", WAITING).do("M", "stage", PENDING), STAGED),
    "promoted by a settlement": (
        _History()
        .do("P", "enqueue", PENDING)
        .do("P", "enqueue", WAITING, "J2")
        .do("A", "claim", RUNNING)
        .do("A", "complete", PENDING, "J2", claim=3),
        PLAIN,
    ),
    "a claim passes over it": (_History().do("P", "enqueue", WAITING).claims_nothing(), STAGED),
    "given back to wait": (
        _History().do("P", "enqueue", PENDING).do("A", "claim", RUNNING).do("A", "fail", WAITING, claim=2),
        STAGED,
    ),
    "never promoted where nothing promotes": (
        _History().do("P", "enqueue", WAITING).drain(over=False).drain(over=True),
        PLAIN,
    ),
    "a chain that goes on for ever": (
        _History()
        .do("P", "enqueue", PENDING)
        .drain(over=False)
        .do("A", "claim", RUNNING)
        .do("A", "complete", PENDING, "J2", claim=2)
        .do("A", "complete", COMPLETED, claim=2)
        .drain(over=True),
        Catalogue({**OPERATIONS, "complete": adding(COMPLETE)}.values()),
    ),
    "completed late by one who had it": (
        _History()
        .do("P", "enqueue", PENDING)
        .do("A", "claim", RUNNING)
        .do("P", "retry", PENDING, claim=2)
        .do("A", "complete", COMPLETED, claim=2),
        PLAIN,
    ),
}


@pytest.mark.parametrize(("history", "kinds"), HELD.values(), ids=HELD)
def test_what_is_right_is_not_accused(history: _History, kinds: Catalogue[Operation]) -> None:
    """A waiting job may be promoted by anybody; one that waits for nobody is not stuck; a late end loses no job."""
    assert judged(history, kinds) == []


BROKEN = {
    "a waiting job that is gone": (
        _History().do("P", "enqueue", WAITING).do("M", "stage", None),
        STAGED,
        ("lost-job", ("stage",)),
    ),
    "a promotion that cancels": (
        _History().do("P", "enqueue", WAITING).do("M", "stage", CANCELLED),
        STAGED,
        ("lost-job", ("stage",)),
    ),
    "a promotion of what is claimed": (
        _History().do("P", "enqueue", WAITING).do("A", "claim", RUNNING).do("M", "stage", PENDING),
        STAGED,
        ("early-reclaim", ("stage",)),
    ),
    "a promotion of what is over": (
        _History()
        .do("P", "enqueue", PENDING)
        .do("A", "claim", RUNNING)
        .do("A", "complete", COMPLETED, claim=2)
        .do("M", "stage", PENDING),
        STAGED,
        ("resurrection", ("stage",)),
    ),
    "never promoted": (
        _History().do("P", "enqueue", WAITING).drain(over=False).drain(over=True),
        STAGED,
        ("stuck-job", ()),
    ),
    "a key that a waiting job has": (
        _History().do("P", "enqueue", WAITING, unique_key="k").do("P", "enqueue", PENDING, "J2", unique_key="k"),
        STAGED,
        ("duplicate-key", ("enqueue",)),
    ),
    "a job of a settlement that may not add any": (
        _History().do("P", "enqueue", PENDING).do("A", "claim", RUNNING).do("A", "complete", PENDING, "J2", claim=2),
        PLAIN,
        ("phantom-job", ("complete",)),
    ),
    "born over": (_History().do("P", "enqueue", COMPLETED), PLAIN, ("lost-job", ("enqueue",))),
}


@pytest.mark.parametrize(("history", "kinds", "expected"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_has_the_name_of_what_happened(
    history: _History, kinds: Catalogue[Operation], expected: tuple[str, tuple[str, ...]]
) -> None:
    """Each fault has the name of the promise that answers to it, and the operation that did it."""
    (broken,) = judged(history, kinds)

    assert (broken.anomaly, broken.operations) == expected


def test_only_declared_promises_give_a_name() -> None:
    """A job that is over from the start is no phantom: an enqueue committed it, and nobody says that it did not."""
    history = _History().do("P", "enqueue", COMPLETED)
    (broken,) = judged(history, **{"no-lost-job": True})

    assert judged(history, **{"no-phantom-job": True}) == []
    assert told(broken.facts) == (
        "P's enqueue changed J1 from no row to completed at step 1: it was over from the start.",
        "Yet nobody had claimed it, so nobody ever ran it.",
    )


def test_a_new_row_is_its_committers() -> None:
    """A job that a settlement adds while an enqueue is under way is not put down to the enqueue."""
    history = _History().do("P", "enqueue", PENDING).do("A", "claim", RUNNING)
    call: dict[str, Any] = {"step": 3, "client": "P", "call": 9}
    history.events += [
        Invoked(worker="P", operation="enqueue", job=None, claim=None, arguments={}, **call),
        Ran(sql="", parameters=(), tag="", error=None, open=False, **call),
    ]
    (broken,) = judged(history.do("A", "complete", PENDING, "J2", claim=2))

    assert (broken.anomaly, broken.operations) == ("phantom-job", ("complete",))


def test_reclaim_may_cancel() -> None:
    """A reclaim may cancel a job whose lease has lapsed, and takes it too early like any other reclaim."""
    claimed = _History().do("P", "enqueue", PENDING).do("A", "claim", RUNNING)
    claimed.events.append(Advanced(step=3, seconds=31.0, now=1031.0))
    late = claimed.do("M", "reclaim", CANCELLED)
    early = _History().do("P", "enqueue", PENDING).do("A", "claim", RUNNING).do("M", "reclaim", CANCELLED)

    assert judged(late) == []
    assert [broken.anomaly for broken in judged(early)] == ["early-reclaim"]
