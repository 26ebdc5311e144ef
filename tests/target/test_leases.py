"""What ends a holder's right where the file does not say: read from the claim's statements and what they call."""

from __future__ import annotations

import pytest

from pgqmodel.operations import Lease
from pgqmodel.target.leases import leases_of

LOCKS = "SELECT id::text AS job, pg_try_advisory_lock(id) FROM q LIMIT 1"
CALLS = "SELECT job FROM take_job()"
TAKES = "CREATE OR REPLACE FUNCTION app.take_job() RETURNS text LANGUAGE sql AS 'SELECT pg_advisory_lock(1)::text';"
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
    ],
    ids=["a lock", "heartbeats", "a transaction's lock", "a comment", "a function", "another function", "the second"],
)
def test_a_session_lock_is_a_lease_where_nobody_beats(claim: str, setup: str, beats: bool, ends: bool) -> None:
    """A queue without heartbeats whose claim locks for its session may lose the job when that session ends."""
    assert (Lease.SESSION in leases_of([claim], [setup], "SELECT 1", beats=beats)) is ends


@pytest.mark.parametrize("beats", [False, True])
def test_a_row_that_shows_its_lease_is_believed(beats: bool) -> None:
    """Where a job's row says until when it is held, the timeout of heartbeats says nothing."""
    shown = "SELECT id::text AS job, state, until AS lease_until FROM q"

    assert leases_of([CALLS], [PLAIN], shown, beats=beats) == (Lease.UNTIL,)
