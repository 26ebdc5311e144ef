"""Programs as applications have them, run once on a real server: what counts as accepted, and what stays open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve

from pgqmodel.client import Queue
from pgqmodel.operations import Status
from pgqmodel.server import Cluster
from pgqmodel.target import Reply, Statements, compile_statement
from pgqmodel.target.described import Place
from working import Side, prepared, with_queue

SETUP = """
CREATE TABLE j (id integer PRIMARY KEY, st text NOT NULL DEFAULT 'q');
CREATE SEQUENCE tries;
CREATE FUNCTION late() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'lease lost'; END $$;
CREATE FUNCTION twice() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('tries') % 2 = 1 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;
    RETURN true;
END $$;
CREATE FUNCTION finish(number integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    UPDATE j SET st = 'd' WHERE id = number AND st = 'q';
    RETURN FOUND;
END $$;
CREATE FUNCTION finish_row(number integer) RETURNS j LANGUAGE sql AS
    $$ UPDATE j SET st = 'd' WHERE id = number AND st = 'q' RETURNING j $$;
CREATE FUNCTION how_many(number integer) RETURNS bigint LANGUAGE sql AS
    $$ WITH done AS (UPDATE j SET st = 'd' WHERE id = number AND st = 'q' RETURNING 1) SELECT count(*) FROM done $$;
CREATE PROCEDURE settle(number integer) LANGUAGE sql AS $$ UPDATE j SET st = 'd' WHERE id = number $$;
CREATE PROCEDURE settle_or_not(number integer, INOUT done boolean) LANGUAGE plpgsql AS $$ BEGIN
    UPDATE j SET st = 'd' WHERE id = number AND st = 'q';
    done := FOUND;
END $$;
"""
FIND = "SELECT id::text AS job FROM j WHERE st = 'q' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
TAKE = "UPDATE j SET st = 'r' WHERE id = %(job)s::integer AND st = 'q'"


def program(name: str, *statements: str, **how: Any) -> Statements:
    """A program of an operation."""
    return Statements(name=name, statements=tuple(compile_statement("here", sql) for sql in statements), **how)


@pytest.fixture(scope="module")
def side(real_server: Cluster) -> Iterator[Side]:
    """One database for all of these tests."""
    with prepared(real_server, "execution") as side:
        side.sql(SETUP)
        yield side


def run(side: Side, *programs: Statements, jobs: int = 2, **values: Any) -> list[Reply]:
    """Programs one after the other in one session, beside so many pending jobs."""
    side.sql("TRUNCATE j")
    side.sql(f"INSERT INTO j SELECT generate_series(1, {jobs})")
    replies: list[Reply] = []

    async def story(queue: Queue) -> None:
        connection = queue._connection.connection
        for each in programs:
            known = values | {"job": None} | {name: value for reply in replies for name, value in reply.row.items()}
            replies.append(await each.run(connection, known))

    with_queue(side, story)
    return replies


@pytest.mark.both_majors
def test_the_job_may_come_from_any_statement(side: Side) -> None:
    """SELECT ... SKIP LOCKED, then UPDATE without RETURNING: the claim has the job of its first statement."""
    (reply,) = run(side, program("claim", FIND, TAKE, transaction=True))
    assert (reply.status, reply.row["job"], reply.also) == (Status.OK, "1", ())


def test_a_claim_that_was_too_late_has_nothing(side: Side) -> None:
    """Somebody took the job between the two statements: the second touches no row, and there is no claim."""
    stale = "SELECT id::text AS job FROM j WHERE id = 1"
    taken, late = run(side, program("claim", stale, TAKE), program("claim", stale, TAKE))
    assert (taken.status, late.status) == (Status.OK, Status.EMPTY)


@pytest.mark.parametrize("take", ["SELECT finish(%(job)s::integer)", "SELECT how_many(%(job)s::integer)"])
def test_a_claim_whose_last_statement_says_no_has_nothing(side: Side, take: str) -> None:
    """A function takes the job that was found, or answers that somebody has it, as `pg_try_advisory_lock` does."""
    claim = program("claim", "SELECT id::text AS job FROM j WHERE id = 1", take)
    assert [reply.status for reply in run(side, claim, claim)] == [Status.OK, Status.EMPTY]
    (first,) = run(side, program("claim", "SELECT 0 AS job"))
    assert (first.status, first.row["job"]) == (Status.OK, 0)


def test_a_claim_without_a_column_of_jobs_is_accepted_by_its_rows(side: Side) -> None:
    """Which job it took, its commit shows; that it took one, the row that it touched."""
    claim = program("claim", "UPDATE j SET st = 'r' WHERE id = (SELECT min(id) FROM j WHERE st = 'q')")
    replies = run(side, claim, claim, jobs=1)
    assert [reply.status for reply in replies] == [Status.OK, Status.EMPTY]


def test_a_claim_of_several_jobs_has_a_row_for_each(side: Side) -> None:
    """Every row that comes back is a job of the worker's."""
    (reply,) = run(side, program("claim", "UPDATE j SET st = 'r' RETURNING id::text AS job, id * 10 AS fence"))
    assert [row["fence"] for row in (reply.row, *reply.also)] == [10, 20]


def test_a_row_that_is_expected_and_does_not_come_rolls_back(side: Side) -> None:
    """`expects = "row"`: nothing of the operation stays, and it is refused."""
    both = program("complete", "UPDATE j SET st = 'd' WHERE id = 1", TAKE, transaction=True, expects_row=True)
    (reply,) = run(side, both, job="9")
    assert reply.status is Status.REFUSED
    assert side.sql("SELECT st FROM j WHERE id = 1") == [("q",)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT finish(1)",
        "SELECT f.*, 'too late' AS reason FROM finish(1) AS f",
        "SELECT * FROM finish_row(1)",
        "SELECT how_many(1)",
        "CALL settle_or_not(1, NULL)",
    ],
)
def test_a_function_may_say_no(side: Side, sql: str) -> None:
    """A settlement in a function is refused where that answers false, NULL or no rows, as a second one is here."""
    complete = program("complete", sql)
    assert [reply.status for reply in run(side, complete, complete)] == [Status.OK, Status.REFUSED]


def test_a_row_that_a_change_returns_is_a_yes(side: Side) -> None:
    """What an UPDATE returns was touched, whatever its columns say; and a line of a log may be number 0."""
    complete = program("complete", "UPDATE j SET st = 'd' WHERE id = 1 RETURNING false AS was_last")
    log = program("log", "SELECT 0 AS sequence")
    assert [reply.status for reply in run(side, complete, log)] == [Status.OK, Status.OK]


@pytest.mark.parametrize("aside", ["NOTIFY done", "SELECT pg_notify('done', '')", "SET LOCAL lock_timeout = '1s'"])
@pytest.mark.parametrize("first", [True, False])
def test_a_statement_without_an_answer_decides_nothing(side: Side, aside: str, first: bool) -> None:
    """A settlement that also notifies is accepted by the row that it touched, and refused without one."""
    done = "UPDATE j SET st = 'd' WHERE id = 1 AND st = 'q'"
    statements = (aside, done) if first else (done, aside)
    complete = program("complete", *statements, transaction=True)
    strict = evolve(complete, expects_row=True)
    assert [reply.status for reply in run(side, complete, complete)] == [Status.OK, Status.REFUSED]
    assert [reply.status for reply in run(side, strict, strict)] == [Status.OK, Status.REFUSED]


def test_a_procedure_without_an_answer_is_accepted(side: Side) -> None:
    """A CALL says no with an error alone."""
    (reply,) = run(side, program("complete", "CALL settle(1)"))
    assert reply.status is Status.OK
    assert side.sql("SELECT st FROM j WHERE id = 1") == [("d",)]


def test_an_error_that_the_queue_raises_is_a_refusal(side: Side) -> None:
    """RAISE is a no of a settlement; for a claim it is one only if the file says so."""
    late = program("complete", "SELECT late()")
    claim = program("claim", "SELECT id::text AS job, late() FROM j LIMIT 1")
    replies = run(side, late, claim, evolve(claim, refused_by=frozenset({"P0001"})))
    assert [(reply.status, reply.error) for reply in replies] == [
        (Status.REFUSED, "P0001"),
        (Status.ERROR, "P0001"),
        (Status.EMPTY, "P0001"),
    ]


def test_an_error_that_is_tried_again_is_no_answer(side: Side) -> None:
    """`retried_on`: the client runs the operation again, as often as the file says."""
    side.sql("ALTER SEQUENCE tries RESTART 1")
    complete = program("complete", "SELECT twice()", retried_on=frozenset({"40001"}), retries=1)
    replies = run(side, complete, evolve(complete, retries=0))
    assert [reply.status for reply in replies] == [Status.OK, Status.ERROR]


@pytest.mark.both_majors
def test_a_transaction_may_stay_open_until_the_settlement(side: Side) -> None:
    """The claim's transaction is the settlement's; its end commits both."""
    claim = program("claim", FIND, place=Place.OPENS)
    peek = program("heartbeat", "SELECT count(*) AS open FROM pg_locks WHERE mode = 'RowShareLock'", place=Place.INSIDE)
    complete = program("complete", "UPDATE j SET st = 'd' WHERE id = %(job)s::integer", place=Place.ENDS)
    claimed, held, done = run(side, claim, peek, complete)
    assert claimed.row["job"] == "1"
    assert held.row["open"] >= 1, "the claim's lock is still there"
    assert done.status is Status.OK
    assert side.sql("SELECT st FROM j WHERE id = 1") == [("d",)]
