"""Functions of an application, called on a real server: what they are given, what their results and errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgqmodel.client import Queue
from pgqmodel.errors import TargetError
from pgqmodel.operations import Status
from pgqmodel.server import Cluster
from pgqmodel.target import Reply, load
from target.applications import SETUP, application
from working import Side, prepared, with_queue


@pytest.fixture(scope="module")
def side(real_server: Cluster) -> Iterator[Side]:
    """One database for all of these tests."""
    with prepared(real_server, "functions") as side:
        side.sql(SETUP)
        yield side


def call(
    side: Side, directory: Path, operation: str, body: str, *, times: int = 1, how: str = "def", **values: Any
) -> Reply:
    """Call a function with this body for an operation, beside two pending jobs; the reply to the last call."""
    side.sql("TRUNCATE j")
    side.sql("INSERT INTO j SELECT generate_series(1, 2)")
    names = "".join(f", {name}" for name in values if name != "lines")
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    module = f"import psycopg\nfrom psycopg.rows import dict_row\n\n{how} run(connection{names}):\n{lines}"
    python = f'python = "app:run"\n{values.pop("lines", "")}'
    directory = directory / str(len([*directory.iterdir()]))
    plain = dict.fromkeys({"enqueue", "claim", "complete"} - {operation}, 'statements = ["SELECT 1"]')
    target = load(str(application(directory, module, **plain, **{operation: python})))
    replies = []

    async def story(queue: Queue) -> None:
        for _ in range(times):
            replies.append(await target.operations[operation].run(queue._connection.connection, values))
        await queue._connection.connection.run("SELECT 1")  # the session can be used afterwards

    with_queue(side, story)
    return replies[-1]


FIND = "SELECT id AS job, tries AS fence FROM j WHERE st = 'q' ORDER BY id"
CLAIMS = {
    "nothing": ("return None", []),
    "no row": ("return []", []),
    "an identifier": ("return 7", [{"job": "7"}]),
    "the number 0": ("return 0", [{"job": "0"}]),
    "a dictionary": ('return {"job": 7, "fence": 3}', [{"job": "7", "fence": 3}]),
    "a list": ('return ["7", {"job": 8}]', [{"job": "7"}, {"job": "8"}]),
    "rows": (
        (
            "with connection.cursor(row_factory=dict_row) as cursor, connection.transaction():\n"
            f'    return cursor.execute("{FIND}").fetchall()'
        ),
        [{"job": "1", "fence": 0}, {"job": "2", "fence": 0}],
    ),
}


@pytest.mark.parametrize(("body", "rows"), CLAIMS.values(), ids=CLAIMS)
def test_the_result_of_a_claim_is_its_jobs(side: Side, tmp_path: Path, body: str, rows: list[dict[str, Any]]) -> None:
    """None and an empty list are no job; an identifier or a dictionary is one; a list has several."""
    reply = call(side, tmp_path, "claim", body)
    assert reply.status is (Status.OK if rows else Status.EMPTY)
    assert [dict(row) for row in (reply.row, *reply.also) if row] == rows


@pytest.mark.parametrize("body", ["return (7, 1)", 'return {"id": 7}', "return object()", "return [[7]]"])
def test_a_claim_that_returns_something_else_is_refused(side: Side, tmp_path: Path, body: str) -> None:
    """A row as a tuple does not say which column is the job."""
    with pytest.raises(TargetError, match=r"operations\.claim\.python: found .*expected None, the job's identifier"):
        call(side, tmp_path, "claim", body)


ANSWERS = {
    "True": Status.OK,
    "None": Status.OK,
    '{"fence": 4}': Status.OK,
    "1": Status.OK,
    "False": Status.REFUSED,
    "0": Status.REFUSED,
}


@pytest.mark.parametrize(("result", "status"), ANSWERS.items(), ids=ANSWERS)
def test_a_settlement_is_accepted_unless_it_says_no(side: Side, tmp_path: Path, result: str, status: Status) -> None:
    """False is a refusal, and so is a count of no rows; None is a yes: such a function raises when it means no."""
    assert call(side, tmp_path, "complete", f"return {result}").status is status


def test_an_enqueue_says_its_job_or_that_there_is_one(side: Side, tmp_path: Path) -> None:
    """True: the job is the one that its commit added. None: there is no new job."""
    answers = {result: call(side, tmp_path, "enqueue", f"return {result}") for result in ("9", "True", "None")}
    assert [(reply.status, dict(reply.row)) for reply in answers.values()] == [
        (Status.OK, {"job": "9"}),
        (Status.OK, {}),
        (Status.REFUSED, {}),
    ]


def test_it_is_given_the_values_by_the_names_of_its_parameters(side: Side, tmp_path: Path) -> None:
    """The same values that statements have, and no others."""
    body = "with connection.transaction():\n    return connection.execute('SELECT %s::text', (job,)).fetchone()[0] == a"
    assert call(side, tmp_path, "complete", body, job="x", a="x").status is Status.OK


def test_transactions_are_the_functions_own(side: Side, tmp_path: Path) -> None:
    """Nothing commits by itself, as psycopg does it; what was not committed is undone by a rollback of the function."""
    body = (
        "connection.execute(\"UPDATE j SET st = 'r' WHERE id = 1\")\nconnection.commit()\n"
        "connection.execute(\"UPDATE j SET st = 'r' WHERE id = 2\")\nconnection.rollback()"
    )
    call(side, tmp_path, "complete", body)
    assert side.sql("SELECT st FROM j ORDER BY id") == [("r",), ("q",)]


@pytest.mark.parametrize("end", ["with connection: pass", "connection.commit(); connection.close()"])
def test_a_connection_that_is_closed_is_given_back(side: Side, tmp_path: Path, end: str) -> None:
    """As from a pool: the session goes on for the next call."""
    body = f"connection.execute(\"UPDATE j SET st = 'r'\")\n{end}"
    assert call(side, tmp_path, "complete", body, times=2).status is Status.OK
    assert side.sql("SELECT DISTINCT st FROM j") == [("r",)]


def test_a_function_may_ask_for_autocommit(side: Side, tmp_path: Path) -> None:
    """It holds for this call; each statement commits by itself then."""
    body = "connection.autocommit = True\nconnection.execute(\"UPDATE j SET st = 'r'\")\n{}['no']"
    assert call(side, tmp_path, "complete", body).status is Status.ERROR
    assert side.sql("SELECT DISTINCT st FROM j") == [("r",)]


def test_a_transaction_that_is_left_open_is_refused(side: Side, tmp_path: Path) -> None:
    """In an application it would hold its locks for ever."""
    with pytest.raises(TargetError, match="app:run, which returned inside of an open transaction"):
        call(side, tmp_path, "complete", 'connection.execute("SELECT 1")')


def test_errors_of_the_queue_are_answers(side: Side, tmp_path: Path) -> None:
    """What the queue raises is a refusal, also by a code of its own; others are errors, and some are tried again."""
    late = call(side, tmp_path, "complete", 'connection.execute("SELECT late()")')
    assert (late.status, late.error) == (Status.REFUSED, "P0001")
    again = 'with connection.transaction():\n    connection.execute("SELECT twice()")'
    assert call(side, tmp_path, "complete", again).error == "40001"
    call(side, tmp_path, "complete", again)
    assert call(side, tmp_path, "complete", again, lines='retried_on = ["40001"]').status is Status.OK
    refused = call(side, tmp_path, "complete", 'connection.execute("SELECT 1 / 0")', lines='refused_by = ["22012"]')
    assert (refused.status, refused.error) == (Status.REFUSED, "22012")


def test_wrong_sql_is_the_targets_fault(side: Side, tmp_path: Path) -> None:
    """A table that is not there is named with the line of the function, as it is with a statement's place."""
    with pytest.raises(TargetError, match=r'app:run, app\.py:5: Postgres refuses the statement: relation "n" does not'):
        call(side, tmp_path, "complete", 'connection.execute("SELECT * FROM n")')


def test_an_error_of_the_application_ends_the_call_with_its_place(side: Side, tmp_path: Path) -> None:
    """What it had not committed is rolled back."""
    body = "connection.execute(\"UPDATE j SET st = 'r'\")\n{}['no']"
    reply = call(side, tmp_path, "complete", body)
    assert (reply.status, reply.error) == (Status.ERROR, "KeyError at app.py:6")
    assert side.sql("SELECT DISTINCT st FROM j") == [("q",)]


def test_an_import_that_comes_too_late_is_refused(side: Side, tmp_path: Path) -> None:
    """The file's folder is on the path only while the module is imported."""
    with pytest.raises(TargetError, match=r"imports at app\.py:5 what is not there"):
        call(side, tmp_path, "complete", "import nowhere")


def test_an_async_function_runs_without_asyncio(side: Side, tmp_path: Path) -> None:
    """It awaits its connection; whatever else it awaits is refused with a sentence."""
    body = (
        "async with connection.transaction():\n"
        "    cursor = await connection.execute(\"UPDATE j SET st = 'r' WHERE id = 1 RETURNING id\")\n"
        '    return {"job": (await cursor.fetchone())[0]}'
    )
    assert call(side, tmp_path, "claim", body, how="async def").row == {"job": "1"}
    with pytest.raises(TargetError, match=r"uses asyncio at app\.py:6"):
        call(side, tmp_path, "claim", "import asyncio\nawait asyncio.sleep(0.1)", how="async def")
    with pytest.raises(TargetError, match=r"uses asyncio at app\.py:6"):
        call(side, tmp_path, "claim", "import asyncio\nawait asyncio.sleep(0)", how="async def")
    with pytest.raises(TargetError, match="returned a coroutine"):
        call(side, tmp_path, "claim", "async def inner(): pass\nreturn inner()")


def test_cursors_pipelines_and_copies_are_psycopgs(side: Side, tmp_path: Path) -> None:
    """Whatever waits for the server waits through the bridge."""
    body = (
        "with connection.transaction(), connection.cursor() as cursor:\n"
        '    cursor.executemany("UPDATE j SET st = %s WHERE id = %s", [("r", 1), ("d", 2)])\n'
        "    with connection.pipeline():\n"
        '        cursor.execute("SELECT 5")\n'
        '    with cursor.copy("COPY j (id) FROM STDIN") as copy:\n'
        "        copy.write_row((3,))\n"
        '    with connection.cursor("named") as named:\n'
        '        return len(named.execute("SELECT id FROM j").fetchall()) == 3'
    )
    assert call(side, tmp_path, "complete", body).status is Status.OK
    assert side.sql("SELECT st FROM j ORDER BY id") == [("r",), ("d",), ("q",)]
