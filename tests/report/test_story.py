"""What a story says of faults, twins, deadlocks and drains; the layouts have tests of their own."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from pgqmodel.history import (
    Advanced,
    Blocked,
    Committed,
    Connected,
    Deadlocked,
    Draining,
    Ended,
    Event,
    Observed,
    Ran,
    Restarted,
    Returned,
)
from pgqmodel.operations import State, Status
from pgqmodel.report.story import Row, Story, span, tell
from pgqmodel.steps import Go
from pgqmodel.trace import Trace
from report.examples import CLAIM_ONE, DOUBLE_CLAIM, J1, NOW, begin, call, invoked, running, start


def story(*events: Event, **changes: Any) -> Story:
    """The story of a history that begins like all others."""
    trace: Trace = evolve(DOUBLE_CLAIM, history=(*start("A", "B"), *events), **changes)
    return tell(trace, brief=True)


def cell(told: Story, client: str, step: int) -> tuple[str, ...]:
    """What a client did in a step."""
    return row(told, step).cells.get(client, ())


def row(told: Story, step: int) -> Row:
    """The row that has a step."""
    return next(row for row in told.rows if row.first <= step <= row.last)


CLAIMING = [
    invoked(1, "A", 1, "claim"),
    Ran(step=1, client="A", call=1, sql=CLAIM_ONE, parameters=("A",), tag="UPDATE 1", open=True),
]
TAKEN = Observed(step=2, by=(1,), jobs={"J1": running(J1, "A", 1)})


def lost(step: int) -> Returned:
    """A's call never comes back."""
    return Returned(step=step, client="A", call=1, status=Status.UNKNOWN)


def test_a_held_commit_is_told() -> None:
    """Between a statement and its COMMIT the cell says that the COMMIT is held, and later that it goes through."""
    told = story(*CLAIMING, Committed(step=2, client="A", call=1), TAKEN)
    assert cell(told, "A", 1) == ("**claim**", "`UPDATE job_queue`: 1 row", "COMMIT held")
    assert cell(told, "A", 2) == ("COMMIT",)
    assert row(told, 2).shows == ("J1: running (A, attempt 1) (new)", "=> double-claim")


def test_a_lost_answer_is_not_a_lost_request() -> None:
    """Of a cut call the story says whether the server had committed it, rolled it back, or never saw it."""
    committed = story(*CLAIMING, Committed(step=2, client="A", call=1), TAKEN, lost(2), Ended(step=2, client="A"))
    rolled_back = story(*CLAIMING, lost(2), Ended(step=2, client="A"))
    unseen = story(CLAIMING[0], lost(2), Ended(step=2, client="A"))
    assert cell(committed, "A", 2) == ("COMMIT", "**connection cut**, answer lost")
    assert cell(rolled_back, "A", 2) == ("**connection cut**, transaction rolled back",)
    assert cell(unseen, "A", 1) == ("**claim**", "held before its first statement")
    assert cell(unseen, "A", 2) == ("**connection cut**, request lost",)


def test_a_crash_is_told_with_its_successor() -> None:
    """A crashed client starts anew in the same step; a cut one connects when it is its turn."""
    crashed = story(Ended(step=1, client="A", crashed=True), Connected(step=1, client="A", worker="A"))
    cut = story(Ended(step=1, client="A"), Connected(step=2, client="A", worker="A"))
    assert cell(crashed, "A", 1) == ("**crashes**", "starts anew")
    assert cell(cut, "A", 1) == ("**connection cut**",)
    assert cell(cut, "A", 2) == ("connects",)


def test_a_twin_bears_the_name_of_its_worker() -> None:
    """A second client of a worker's name says so, and has a column of its own between the workers."""
    claimed = call(2, "B", 1, "claim", [(CLAIM_ONE, ("B",), "UPDATE 0")], status=Status.EMPTY)
    told = story(Connected(step=1, client="A2", worker="A"), *claimed)
    assert cell(told, "A2", 1) == ("connects under the name A",)
    assert cell(told, "B", 2) == ("**claim**", "nothing to claim")
    assert told.clients == ("A2", "B")


def test_a_wait_and_its_end_are_told() -> None:
    """A blocked client waits for the holder by name, and its statement goes on when the lock is free."""
    told = tell(DOUBLE_CLAIM, brief=True)
    assert cell(told, "B", 3) == ("**claim**", "waits for A")
    assert cell(told, "B", 4) == ("goes on: `UPDATE job_queue`: 1 row", "COMMIT held")


def test_a_deadlock_names_its_victim() -> None:
    """A deadlock is told with its cycle and its victim, and the victim's statement with its error."""
    told = story(
        *CLAIMING,
        Blocked(step=2, client="A", call=1, by=("B",)),
        Deadlocked(step=3, victim="A", cycle=("A", "B")),
        Ran(step=3, client="A", call=1, sql=CLAIM_ONE, error="40P01"),
        Returned(step=3, client="A", call=1, status=Status.ERROR, error="40P01"),
    )
    assert row(told, 3).shows[0] == "deadlock of A, B; Postgres makes A its victim"
    assert cell(told, "A", 3) == ("goes on: `UPDATE job_queue`: error 40P01", "failed with error 40P01")


def test_a_restart_ends_every_session() -> None:
    """A killed server is told once, for all."""
    told = story(Restarted(step=1), Connected(step=1, client="A", worker="A"))
    assert row(told, 1).shows[0] == "the server is killed and recovers; every session has ended"


def test_a_step_without_events_is_told_from_the_schedule() -> None:
    """A step that leaves no event is a row all the same."""
    steps = (Go(client="A"), begin("B", "claim"))
    told = story(*call(2, "B", 1, "claim", [], status=Status.EMPTY), steps=steps)
    assert cell(told, "A", 1) == ("goes on",)


def test_a_drain_folds_what_changes_nothing() -> None:
    """Rounds in which nothing changes are one row with counts; the end says which jobs are left."""
    held = Observed(step=1, jobs={"J1": running(J1, "A", 1)})
    rounds = [
        event
        for number in range(3)
        for event in (
            *call(3 + 2 * number, "B", number + 1, "claim", [], status=Status.EMPTY),
            Advanced(step=4 + 2 * number, seconds=31.0, now=NOW),
        )
    ]
    told = story(held, Draining(step=2), *rounds, Draining(step=9, over=True))
    assert [span(row) for row in told.rows] == ["1", "2", "3-8", "9"]
    assert cell(told, "B", 5) == ("**claim**: nothing to claim, 3 times",)
    assert row(told, 5).clock == 93
    assert row(told, 9).shows == ("J1: still running (A, attempt 1)", "=> double-claim")


def test_a_row_that_is_gone_and_one_that_changes_hands_are_told() -> None:
    """What the database shows is told as a difference: from, to, and whose."""
    told = story(
        Observed(step=1, jobs={"J1": J1}, runs={"r1": State.PENDING}, environments={"prod": 1}),
        Observed(step=2, jobs={"J1": evolve(J1, priority=5)}, logs={"J1": ((1, "hello"),)}),
        Observed(step=3, jobs={"J1": None}, runs={"r1": State.RUNNING}, environments={"prod": 2}),
    )
    assert row(told, 2).shows == ("J1: priority 0 -> 5", "J1's log: 1 'hello'")
    assert row(told, 3).shows[:3] == ("J1: pending -> gone", "run r1: pending -> running", "prod: version 1 -> 2")


def test_a_version_that_is_a_moment_is_told_since_the_start() -> None:
    """Where an environment's version is a time, the story says seconds as in its time column, no epoch numbers."""
    told = story(
        Observed(step=1, environments={"prod": NOW, "test": 7}),
        Advanced(step=2, seconds=31.0, now=NOW + 31),
        Observed(step=3, environments={"prod": NOW + 31, "test": 8}),
    )
    assert row(told, 1).shows == ("prod: version 0 s", "test: version 7")
    assert row(told, 3).shows[:2] == ("prod: version 0 s -> 31 s", "test: version 7 -> 8")
