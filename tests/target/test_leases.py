"""What ends a holder's right where the file does not say: read from the claim's statements and what they call."""

from __future__ import annotations

import pytest

from pgqmodel.operations import Lease
from pgqmodel.target.leases import leases_of, reads_locks

LOCKS = "SELECT id::text AS job, pg_try_advisory_lock(id) FROM q LIMIT 1"
CALLS = "SELECT job FROM take_job()"
TAKES = "CREATE OR REPLACE FUNCTION app.take_job() RETURNS text LANGUAGE sql AS 'SELECT pg_advisory_lock(1)::text';"
NESTED = (
    "CREATE FUNCTION take_job() RETURNS text LANGUAGE sql AS 'SELECT app.\"Lock_It\"()'; "
    "CREATE FUNCTION app.\"Lock_It\"() RETURNS text LANGUAGE sql AS 'SELECT pg_advisory_lock(1)::text';"
)
OTHER = "CREATE FUNCTION deploy() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_lock(2)';"
PLAIN = "CREATE FUNCTION take_job() RETURNS text LANGUAGE sql AS 'SELECT 1';"


@pytest.mark.parametrize(
    ("claim", "setup", "beats", "ends"),
    [
        (LOCKS, "", False, True),
        (LOCKS, "", True, False),
        ("SELECT pg_advisory_xact_lock(1)", "", False, False),
        ("SELECT 1 -- pg_advisory_lock(1)", "", False, False),
        (CALLS, TAKES, False, True),
        (CALLS, PLAIN + OTHER, False, False),
        (CALLS, OTHER + TAKES, False, True),
        (CALLS, NESTED, False, True),
    ],
    ids=[
        "a lock",
        "heartbeats",
        "a transaction's lock",
        "a comment",
        "a function",
        "another function",
        "the second",
        "a function of a function",
    ],
)
def test_a_session_lock_is_a_lease_where_nobody_beats(claim: str, setup: str, beats: bool, ends: bool) -> None:
    """A queue without heartbeats whose claim locks for its session may lose the job when that session ends."""
    assert (Lease.SESSION in leases_of([claim], [setup], beats=beats)) is ends


VIEW = "CREATE OR REPLACE VIEW app.jobs AS SELECT id, EXISTS (SELECT FROM pg_locks WHERE objid = q.id) AS held FROM q;"


@pytest.mark.parametrize(
    ("sql", "setup", "shows"),
    [
        ("SELECT id FROM q JOIN pg_locks ON objid = id", "", True),
        ("SELECT id, held FROM app.jobs", VIEW, True),
        ("SELECT id FROM q -- pg_locks", VIEW, False),
        ("SELECT id FROM jobs_of_today", VIEW, False),
    ],
    ids=["the query itself", "a view", "a comment", "another table"],
)
def test_a_query_that_shows_locks_is_known(sql: str, setup: str, shows: bool) -> None:
    """What is locked changes without a commit: such a query is read after each statement."""
    assert reads_locks(sql, [setup]) is shows
