"""Values and statements of a target that nobody expects: each is understood, or refused with file, key and value.

A refusal is a TargetError, which every command ends with exit code 2.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pgqmodel.errors import TargetError
from pgqmodel.history import Job
from pgqmodel.server import Cluster, database
from pgqmodel.target import Target, load, write_template
from pgqmodel.world import World
from world.stories import begin, in_world, take

PRIORITY = "attempts AS attempt, priority FROM jobs"
ATTEMPT, STATE, ENQUEUE = "attempts AS attempt", "status AS state", "RETURNING id::text AS job"
OBSERVE, SETUP = "SELECT id, id::text AS job", "CREATE INDEX jobs_working"
NOON = 1_893_499_200.0
"""2030-01-01 12:00 UTC, in seconds since the epoch."""
UNDERSTOOD = {
    "infinity": ("'infinity'::timestamptz", math.inf),
    "a number that is infinite": ("'infinity'::float8", math.inf),
    "-infinity": ("'-infinity'::timestamptz", None),
    "the year 9999": ("'9999-12-31 23:59:59+00'::timestamptz", 253_402_300_799.0),
    "a year that Python does not know": ("'10000-01-01 00:00:00+00'::timestamptz", 253_402_300_800.0),
    "a naive timestamp": ("'2030-01-01 12:00:00'::timestamp", NOON),
    "a naive infinity": ("'infinity'::timestamp", math.inf),
    "a date": ("'2030-01-01'::date", NOON - 12 * 3600),
    "seconds": ("1893499200::numeric", NOON),
    "the greatest number, for never": ("9223372036854775807", 2**63 - 1),
    "NULL": ("NULL::timestamptz", None),
}
ROW = {
    "eligible_at is a text": (PRIORITY, "'soon' AS eligible_at", "jobs: eligible_at: found 'soon' (str)"),
    "eligible_at is NaN": (PRIORITY, "'NaN'::float8 AS eligible_at", "jobs: eligible_at: found nan (float)"),
    "eligible_at is true": (PRIORITY, "true AS eligible_at", "jobs: eligible_at: found True (bool)"),
    "eligible_at is an interval": (PRIORITY, "interval '1 h' AS eligible_at", "jobs: eligible_at: found "),
    "eligible_at is in milliseconds": (
        PRIORITY,
        "1893499200000::bigint AS eligible_at",
        "this looks like milliseconds",
    ),
    "eligible_at is in microseconds": (PRIORITY, "1893499200e6::float8 AS eligible_at", "this looks like microseconds"),
    "attempt is NaN": (ATTEMPT, "'NaN'::float8 AS attempt", "jobs: attempt: found nan (float)"),
    "attempt is a NaN numeric": (ATTEMPT, "'NaN'::numeric AS attempt", "jobs: attempt: found Decimal('NaN')"),
    "attempt is infinite": (ATTEMPT, "'infinity'::float8 AS attempt", "jobs: attempt: found inf (float)"),
    "attempt is half": (ATTEMPT, "0.5 AS attempt", "jobs: attempt: found Decimal('0.5')"),
    "attempt is a text": (ATTEMPT, "'many' AS attempt", "jobs: attempt: found 'many' (str)"),
    "state is an array": (STATE, "ARRAY[status] AS state", "jobs: state: found ['queued'] (list)"),
    "state is JSON": (STATE, "jsonb_build_object('is', status) AS state", "jobs: state: found {'is': 'queued'} (dict)"),
    "state is a number": (STATE, "1 AS state", "jobs: state: found 1 (int)"),
    "state is NULL": (STATE, "NULL::text AS state", "jobs: state: found NULL"),
    "state is an unknown word": (STATE, "'odd' AS state", "jobs: found the state 'odd'"),
    "job is NULL": ("id::text AS job, status", "NULL::text AS job, status", "jobs: job: found NULL"),
    "needs is a number": (PRIORITY, "7 AS needs", "jobs: needs: found 7 (int)"),
    "needs is a text": (PRIORITY, "'J1' AS needs", "jobs: needs: found 'J1' (str)"),
    "needs holds NULL": (PRIORITY, "ARRAY[NULL::text] AS needs", "jobs: needs: found [None] (list)"),
}
"""What an observation says of a job, the column that is replaced (or that comes beside it), and what is said of it."""
SQL = {
    "sort by JSON": ("attempt, priority FROM", "attempt, to_jsonb(priority) AS priority FROM", "column 'priority'"),
    "sort by an array": ("attempt, priority FROM", "attempt, ARRAY[priority] AS priority FROM", "column 'priority'"),
    "COPY": (
        'statements = ["INSERT',
        'statements = ["COPY jobs FROM STDIN", "INSERT',
        "enqueue.statements[0]: found COPY",
    ),
    "BEGIN": (
        'statements = ["INSERT',
        'statements = ["BEGIN", "INSERT',
        "enqueue.statements[1]: found a transaction that",
    ),
    "COMMIT": (
        'statements = ["INSERT',
        'statements = ["COMMIT", "INSERT',
        "enqueue.statements[0]: found COMMIT where no",
    ),
    "an observation that fails": (
        OBSERVE,
        "SELECT 1 / (count(*) OVER () - 1), id, id::text AS job",
        "division by zero",
    ),
    "an observation that changes data": (OBSERVE, "SELECT nextval('jobs_id_seq'), id, id::text AS job", "read-only"),
    "an observation that ends its session": (
        OBSERVE,
        "SELECT pg_terminate_backend(pg_backend_pid()), id, id::text AS job",
        "observe.jobs",
    ),
}
"""Statements of the file that cannot be used, and what is said of them."""


def _changed(directory: Path, before: str, after: str) -> Target:
    """The template with one piece of its text in other words, wherever it stands in the two files."""
    paths = write_template(directory)
    found = 0
    for path in paths:
        text = path.read_text(encoding="utf-8")
        found += before in text
        path.write_text(text.replace(before, after, 1), encoding="utf-8")
    assert found == 1
    return load(str(paths[1]))


async def _enqueue(world: World) -> None:
    await take(world, [begin("P", "enqueue")])


def _refused(server: Cluster, target: Target) -> str:
    """What is said when a world is opened and one job enqueued; it names the file, and what was expected."""
    with pytest.raises(TargetError) as caught:
        in_world(server, target, _enqueue)
    assert "expected" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("value", "seconds"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_an_eligible_at_is_understood(server: Cluster, tmp_path: Path, value: str, seconds: float | None) -> None:
    """A time is a time whatever its type; infinity is not before somebody changes it, and -infinity is at once."""
    jobs: list[Job] = []

    async def story(world: World) -> None:
        await _enqueue(world)
        jobs.extend(world.observer.jobs.values())

    in_world(server, _changed(tmp_path, PRIORITY, f"{value} AS eligible_at, {PRIORITY}"), story)
    assert [job.eligible_at for job in jobs] == [seconds]


@pytest.mark.parametrize(("before", "after", "said"), ROW.values(), ids=ROW)
def test_a_value_without_a_meaning_is_refused(
    server: Cluster, tmp_path: Path, before: str, after: str, said: str
) -> None:
    """A value that no job can have is refused with the file, the column and the value."""
    after = f"{after}, {before}" if before == PRIORITY else after
    message = _refused(server, _changed(tmp_path, before, after))
    assert message.startswith(f"{tmp_path / 'jobs.toml'}: observe.")
    assert said in message


@pytest.mark.parametrize(("before", "after", "said"), SQL.values(), ids=SQL)
def test_a_statement_that_cannot_be_used_is_refused(
    server: Cluster, tmp_path: Path, before: str, after: str, said: str
) -> None:
    """A statement that a program or an observation cannot hold is refused with its file and place."""
    message = _refused(server, _changed(tmp_path, before, after))
    assert message.startswith(str(tmp_path / "jobs.toml"))
    assert said in message


def test_an_operation_that_drops_a_table_is_refused(server: Cluster, tmp_path: Path) -> None:
    """When a table is gone the observation that read it says so: the target is at fault, not the tool."""
    target = _changed(tmp_path, 'statements = ["INSERT', 'statements = ["DROP TABLE jobs", "INSERT')
    message = _refused(server, target)
    assert message.startswith(f"{tmp_path / 'jobs.toml'}: observe.jobs")
    assert '"jobs" does not exist' in message


LOOP = "DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$; "


def test_a_set_up_that_loops_is_ended(server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set-up that does not come to its end is given up after a time that is told, with its file."""
    monkeypatch.setattr(database, "SETUP_SECONDS_MAX", 0.5)
    message = _refused(server, _changed(tmp_path, SETUP, LOOP + SETUP))
    assert message.startswith(f"{tmp_path / 'schema.sql'}: the set-up was not done after 0.5 s")


def test_a_set_up_of_many_rows_is_refused(server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set-up that leaves more than can be put back before every story is refused with its size and its file."""
    monkeypatch.setattr(database, "SETUP_BYTES_MAX", 1024 * 1024)
    rows = "INSERT INTO jobs (payload) SELECT to_jsonb(n) FROM generate_series(1, 30000) AS n; "
    message = _refused(server, _changed(tmp_path, SETUP, rows + SETUP))
    assert message.startswith(f"{tmp_path / 'schema.sql'}: the set-up leaves ")
    assert "expected at most 1 MB" in message


def test_an_applications_own_schemas_may_have_our_names(server: Cluster, tmp_path: Path) -> None:
    """Schemas called as the tool's own are the application's: they are used, and brought back between stories."""
    own = ("pgqmodel", "pgqmodel_clock", "pgqmodel_kept_0")
    tables = "".join(f"CREATE SCHEMA {name}; CREATE TABLE {name}.kept_0 AS SELECT 1 AS n; " for name in own)
    there = " AND ".join(f"EXISTS (SELECT FROM {name}.kept_0)" for name in own)
    target = _changed(tmp_path, SETUP, tables + SETUP)

    async def story(world: World) -> None:
        for clean in (True, False, True):
            world.database.reset(clean=clean)
            assert world.side.query(f"SELECT {there} AS there") == [{"there": True}]
        await world.reset(clean=True)
        await _enqueue(world)
        assert len(world.observer.jobs) == 1

    in_world(server, target, story)
