"""What translation promises: row images become what the target's own queries would have shown after each commit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from attrs import evolve

from pgqmodel.errors import NoVerdictError, UsageError
from pgqmodel.history import Job
from pgqmodel.operations import State
from pgqmodel.reference import baseline, reference
from pgqmodel.server import Cluster, Database, SideConnection
from pgqmodel.target import Target, load, read_jobs
from pgqmodel.witness.merge import Commit
from pgqmodel.witness.slot import Witness
from pgqmodel.witness.translate import Translator

TARGETS = [reference(), load(str(baseline()))]


@pytest.fixture
def database(server: Cluster) -> Iterator[Database]:
    """An empty database."""
    with Database(server, "witnessed") as found:
        yield found


def set_up(database: Database, target: Target) -> None:
    """Run a target's set-up."""
    for script in target.setup:
        database.run_setup(script.sql, script.label)


def observing(jobs: str, **rest: Any) -> Target:
    """The reference queue, observed in another way."""
    target = reference()
    return evolve(target, observe=evolve(target.observe, jobs=jobs, **rest))


def commits(database: Database, target: Target, spool: Path, *statements: str) -> list[Commit]:
    """What a witness makes of some statements."""
    translator = Translator(target, database.conninfo())
    with Witness(database.conninfo(), translator.tables, spool) as witness:
        with psycopg.connect(database.conninfo(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        witness.drain()
        return list(translator.translate(witness.transactions()))


LIFE = (
    "INSERT INTO job_queue (run, stage, priority) VALUES ('r \\ \"1\"', 1, 7), (NULL, NULL, 0)",
    "UPDATE job_queue SET status = 'running', attempts = 1, heartbeat_at = now() WHERE id = 1",
    "UPDATE job_queue SET heartbeat_at = now() WHERE id = 1",
    "UPDATE job_queue SET status = 'completed' WHERE id = 1",
    "DELETE FROM job_queue WHERE id = 2",
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_life_is_told_as_the_queue_would_show_it(database: Database, tmp_path: Path, target: Target) -> None:
    """Every state of every job, nothing for a heartbeat, None for a row that is gone; at the end the table."""
    set_up(database, target)
    found = commits(database, target, tmp_path / "spool", *LIFE)
    state: dict[str, Job | None] = {}
    for commit in found:
        state |= commit.jobs
    with SideConnection(database.conninfo()) as side:
        left = {job.job: job for job in read_jobs(side.query(target.observe.jobs), target)}
    assert {name: job for name, job in state.items() if job is not None} == left
    states = [{name: job and job.state for name, job in commit.jobs.items()} for commit in found]
    assert states == [
        {},
        {"1": State.PENDING, "2": State.PENDING},
        {"1": State.RUNNING},
        {},
        {"1": State.COMPLETED},
        {"2": None},
    ]
    first = found[1].jobs["1"]
    assert first is not None
    assert (first.run, first.priority) == ('r \\ "1"', 7)


def test_what_was_there_before_opens_the_list(database: Database, tmp_path: Path) -> None:
    """Rows of the set-up are known, and told first; environments are followed as jobs are."""
    (target,) = TARGETS[1:]
    set_up(database, target)
    found = commits(database, target, tmp_path / "spool", "UPDATE environments SET version = 5")
    assert [(commit.xid is None, commit.environments) for commit in found] == [
        (True, {"prod": 0}),
        (False, {"prod": 5}),
    ]


def test_a_row_that_leaves_the_view_is_gone(database: Database, tmp_path: Path) -> None:
    """A query with conditions, computed columns, an order and a WITH of its own is followed as it stands."""
    target = observing(
        "WITH mine AS (SELECT *, 'job-' || id AS name FROM job_queue) SELECT name AS job, status AS state, id, "
        "priority FROM mine WHERE error IS NULL ORDER BY priority -- the rest is archived"
    )
    set_up(database, reference())
    found = commits(
        database,
        target,
        tmp_path / "spool",
        "INSERT INTO job_queue DEFAULT VALUES",
        "UPDATE job_queue SET error = 'x'",
        "UPDATE job_queue SET error = NULL",
        "TRUNCATE job_queue CASCADE",
    )
    assert [{name: job and job.state for name, job in commit.jobs.items()} for commit in found[1:]] == [
        {"job-1": State.PENDING},
        {"job-1": None},
        {"job-1": State.PENDING},
        {"job-1": None},
    ]


SQL = "id, id::text AS job, status AS state, priority FROM"


@pytest.mark.parametrize(
    ("jobs", "found"),
    [
        (f"SELECT {SQL} public.job_queue", "by more than its bare name"),
        (
            f"SELECT q.* FROM (SELECT {SQL} job_queue) AS q JOIN job_queue AS next ON next.id = q.id + 1",
            "over job_queue, job_queue with .*Join",
        ),
        (
            "SELECT max(id) AS id, run AS job, min(status) AS state, 0 AS priority FROM job_queue GROUP BY run",
            "with .*Aggregate",
        ),
        (f"SELECT {SQL} job_queue LIMIT 5", "with Limit"),
        (f"SELECT row_number() OVER () AS place, {SQL} job_queue", "with WindowAgg"),
        (f"SELECT generate_series(1, 2) AS twice, {SQL} job_queue", "with ProjectSet"),
        ("SELECT 1 AS id, '1' AS job, 'pending' AS state, 0 AS priority", "over no table"),
        ("SELECT run AS id, run AS job, status AS state, 0 AS priority FROM pipeline_runs", "with .*Aggregate"),
    ],
)
def test_a_query_that_is_not_row_by_row_is_refused(database: Database, jobs: str, found: str) -> None:
    """Joins, aggregates, windows, views, qualified names: what single rows do not tell is an error with its query."""
    set_up(database, reference())
    with pytest.raises(
        UsageError, match=rf"reference: observe\.jobs: found .*{found}.*; expected one that reads one table"
    ):
        Translator(observing(jobs), database.conninfo())


def test_runs_are_followed_only_where_they_are_rows(database: Database) -> None:
    """The reference's runs are computed from its jobs, so there is nothing to follow."""
    set_up(database, reference())
    assert Translator(reference(), database.conninfo()).tables == {"public.job_queue", "public.environments"}


def test_a_value_that_the_log_does_not_tell_is_no_verdict(database: Database, tmp_path: Path) -> None:
    """A query may not rest on a column that is computed by the table, or too large and older than the witness."""
    set_up(database, reference())
    database.run_setup("ALTER TABLE job_queue ADD twice bigint GENERATED ALWAYS AS (priority * 2) STORED", "more")
    insert = "INSERT INTO job_queue DEFAULT VALUES"
    assert len(commits(database, reference(), tmp_path / "spool", insert)) == 2
    with pytest.raises(
        NoVerdictError, match=r"does not tell twice of a row in public\.job_queue; observe\.jobs reads it"
    ):
        commits(database, observing(f"SELECT twice, {SQL} job_queue"), tmp_path / "spool", insert)
