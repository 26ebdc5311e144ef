"""Specifications: what they say, what they refuse to say, and that the stock isolationtester shows the anomaly."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve

from pgqmodel.history import (
    Advanced,
    Blocked,
    Committed,
    Connected,
    Deadlocked,
    Ended,
    Event,
    Observed,
    Ran,
    Restarted,
    Returned,
)
from pgqmodel.operations import Status
from pgqmodel.report import NotInSqlError, render_spec
from pgqmodel.server import Cluster, SideConnection, installation
from pgqmodel.trace import Trace
from report.examples import (
    CLAIM_ONE,
    DOUBLE_CLAIM,
    EXAMPLES,
    J1,
    SCHEMA,
    STALE_SETTLEMENT,
    begin,
    call,
    invoked,
    pending,
    running,
    start,
)

FENCED = "UPDATE job_queue SET status = 'completed' WHERE id = 1 AND heartbeat_at = $1"
UPDATE = "UPDATE job_queue SET priority = $1 WHERE id = $2"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server whose clock runs as everywhere else."""
    with Cluster(18, clock=False) as running_cluster:
        yield running_cluster


def shown(cluster: Cluster, name: str, specification: str) -> str:
    """What the stock isolationtester prints for a specification in a database of its own."""
    with SideConnection(cluster.conninfo()) as side:
        side.execute(f'CREATE DATABASE "{name}"')
    tester = installation(18).isolationtester
    ran = subprocess.run(
        [tester, cluster.conninfo(name)], input=specification, text=True, capture_output=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    return ran.stdout


def trace(*events: Event, **changes: Any) -> Trace:
    """A trace with a history that begins like all others."""
    return evolve(DOUBLE_CLAIM, history=(*start("A", "B"), *events), **changes)


def ran(step: int, client: str, number: int, sql: str, *parameters: Any, **fields: Any) -> Ran:
    """A unit inside a transaction."""
    return Ran(step=step, client=client, call=number, sql=sql, parameters=parameters, open=True, **fields)


def order(specification: str) -> list[str]:
    """The steps in the order of the permutation."""
    return specification.partition("permutation\n")[2].split()


ENQUEUED = call(1, "P", 1, "enqueue", [("INSERT INTO job_queue DEFAULT VALUES", (), "INSERT 0 1")])
CLAIMING = [invoked(2, "A", 2, "claim"), ran(2, "A", 2, CLAIM_ONE, "A", tag="UPDATE 1")]


def test_the_isolationtester_shows_the_double_claim(cluster: Cluster) -> None:
    """Without pgqmodel, B waits for A's COMMIT, takes the same job, and the second attempt is there."""
    output = shown(cluster, "double-claim", render_spec(EXAMPLES["double-claim"]))
    assert "<waiting ...>\nstep a_commit: COMMIT;\nstep b_claim: <... completed>" in output
    assert output.index("1|running|A     |      1|") < output.index("1|running|B     |      2|")


def test_the_isolationtester_shows_the_stale_settlement(cluster: Cluster) -> None:
    """Moving the times on record back stands for the 31 s that passed: M takes the job back, A completes it for B."""
    output = shown(cluster, "stale-settlement", render_spec(EXAMPLES["stale-settlement"]))
    assert output.index("1|running|B     |      2|") < output.index("1|completed|B     |      2|")


def test_the_isolationtester_shows_the_stale_deploy(cluster: Cluster) -> None:
    """A's session goes on in another session, without its lock; B gets the lock, and A's deploy changes prod."""
    output = shown(cluster, "stale-deploy", render_spec(EXAMPLES["stale-deploy"]))
    assert output.count("pg_try_advisory_lock\n--------------------\nt") == 2
    assert output.rstrip().endswith("prod       |      1\n(1 row)")


@pytest.mark.parametrize("victim", ["A", "B"])
def test_the_isolationtester_shows_the_deadlock_with_its_victim(cluster: Cluster, victim: str) -> None:
    """Whoever was the victim is it again, the first waiter or the one that closed the cycle."""
    other = "B" if victim == "A" else "A"
    number = {"A": 3, "B": 4}
    crossing = {"A": (1, 2), "B": (2, 1)}
    specification = render_spec(
        trace(
            *ENQUEUED,
            *call(2, "P", 2, "enqueue", [("INSERT INTO job_queue DEFAULT VALUES", (), "INSERT 0 1")]),
            invoked(3, "A", 3, "cancel"),
            ran(3, "A", 3, UPDATE, 1, 1, tag="UPDATE 1"),
            invoked(4, "B", 4, "cancel"),
            ran(4, "B", 4, UPDATE, 2, 2, tag="UPDATE 1"),
            Blocked(step=5, client="A", call=3, by=("B",)),
            Blocked(step=6, client="B", call=4, by=("A",)),
            Deadlocked(step=7, victim=victim, cycle=("A", "B")),
            ran(7, victim, number[victim], UPDATE, 9, crossing[victim][1], error="40P01"),
            ran(7, other, number[other], UPDATE, 9, crossing[other][1], tag="UPDATE 1"),
            Ran(step=8, client=victim, call=number[victim], sql="ROLLBACK", tag="ROLLBACK"),
            Committed(step=9, client=other, call=number[other]),
            Observed(step=9, by=(number[other],), jobs={"J1": J1}),
            anomaly="deadlock",
            promise="deadlock-free",
        )
    )
    output = shown(cluster, f"deadlock-{victim}", specification)
    assert f"step {victim.lower()}_cancel_2: <... completed>\nERROR:  deadlock detected" in output
    assert output.count("ERROR") == 1


def test_braces_and_several_statements_survive_the_set_up(cluster: Cluster) -> None:
    """Functions with braces in their bodies come through a specification as they are."""
    sql = SCHEMA + "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT '{\"a\": \"it''s \\\\ {}\"}' $$;\n"
    schema = evolve(DOUBLE_CLAIM.schema, setup=(("all.sql", sql),), observe={"jobs": "SELECT f() AS f"})
    output = shown(cluster, "braces", render_spec(trace(*ENQUEUED, schema=schema)))
    assert '{"a": "it\'s \\\\ {}"}' in output


def test_a_call_that_nothing_interrupts_is_one_step() -> None:
    """The statements of a transaction stay together as long as nobody else comes between."""
    specification = render_spec(STALE_SETTLEMENT)
    assert order(specification)[:3] == ["p_enqueue", "a_claim", "observer_look"]
    assert specification.count("BEGIN;") == 2


def test_a_statement_begins_where_it_was_sent() -> None:
    """A blocked statement stands where it began to wait, not where it was answered."""
    assert order(render_spec(DOUBLE_CLAIM))[:4] == ["p_enqueue", "a_claim", "b_claim", "a_commit"]


def test_the_isolation_level_is_said() -> None:
    """An operation with a level of its own begins its transaction with it, even in a single statement."""
    schema = evolve(DOUBLE_CLAIM.schema, isolation={"claim": "serializable"})
    claimed = call(2, "A", 2, "claim", [(CLAIM_ONE, ("A",), "UPDATE 1")])
    specification = render_spec(trace(*ENQUEUED, *claimed, schema=schema))
    assert "BEGIN ISOLATION LEVEL SERIALIZABLE;" in specification
    assert "  COMMIT;\n}" in specification


def test_a_lost_request_is_not_sent_and_a_lost_answer_is() -> None:
    """A unit that the server never saw is left out; one that it committed is there; one cut in between is undone."""
    unseen = render_spec(trace(*ENQUEUED, CLAIMING[0], Ended(step=3, client="A")))
    undone = render_spec(trace(*ENQUEUED, *CLAIMING, Ended(step=3, client="A")))
    committed = render_spec(
        trace(*ENQUEUED, *CLAIMING, Committed(step=3, client="A", call=2), Ended(step=3, client="A"))
    )
    assert order(unseen) == ["p_enqueue", "observer_look"]
    assert order(undone) == ["p_enqueue", "a_claim", "a_cut", "observer_look"]
    assert "step a_cut { ROLLBACK; }" in undone
    assert order(committed) == ["p_enqueue", "a_claim", "observer_look"]


def test_a_client_that_comes_back_has_a_session_of_its_own() -> None:
    """After a crash the same client goes on in another session."""
    again = call(4, "A", 3, "claim", [(CLAIM_ONE, ("A",), "UPDATE 0")], status=Status.EMPTY)
    crashed = [Ended(step=3, client="A", crashed=True), Connected(step=3, client="A", worker="A")]
    assert order(render_spec(trace(*ENQUEUED, *CLAIMING, *crashed, *again)))[2:4] == ["a_crash", "a_2_claim"]


def test_a_client_that_comes_back_for_nothing_has_none() -> None:
    """A session without a step is no session: the isolationtester knows none such."""
    back = [Ended(step=3, client="B"), Connected(step=4, client="B", worker="B")]
    assert "session b" not in render_spec(trace(*ENQUEUED, *CLAIMING, *back))


def test_a_failed_statement_ends_its_transaction() -> None:
    """A unit that failed in a transaction of the gate's is followed by a ROLLBACK of its own."""
    failed = Ran(step=3, client="A", call=2, sql="SELECT 1/0", error="22012")
    specification = render_spec(trace(*ENQUEUED, *CLAIMING, failed))
    assert order(specification)[1:3] == ["a_claim", "a_rollback"]


NOT_IN_SQL = {
    "a server that is killed": (trace(Restarted(step=1)), "the server is killed in step 1"),
    "time in a transaction": (
        trace(*ENQUEUED, *CLAIMING, Advanced(step=3, seconds=31.0, now=0.0)),
        "time moves in step 3 while a transaction is open",
    ),
    "a cut while waiting": (
        trace(invoked(1, "A", 1, "claim"), Blocked(step=1, client="A", call=1, by=("B",)), Ended(step=2, client="A")),
        "the connection of A ends in step 2",
    ),
    "a value drawn by the database": (
        trace(invoked(1, "A", 1, "complete"), ran(1, "A", 1, FENCED, "2023-11-14 22:13:20+00")),
        "$1 of step 1",
    ),
}


@pytest.mark.parametrize(("unsayable", "reason"), NOT_IN_SQL.values(), ids=NOT_IN_SQL)
def test_what_sql_cannot_say_is_refused_with_its_reason(unsayable: Trace, reason: str) -> None:
    """Rather no specification than one that shows something else."""
    with pytest.raises(NotInSqlError) as caught:
        render_spec(unsayable)
    assert reason in str(caught.value)
    assert "pgqmodel replay" in str(caught.value)


def test_a_drawn_value_that_the_producer_gave_is_no_obstacle() -> None:
    """A unique key may look like anything, as long as it came with the enqueue."""
    key = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    sql = "INSERT INTO job_queue (payload, worker_id) VALUES ('{}', $1)"
    enqueued = call(
        1, "P", 1, "enqueue", [(sql, (key,), "INSERT 0 1")], arguments=begin("P", "enqueue", k=key).arguments
    )
    assert key in render_spec(trace(*enqueued))


def test_observations_follow_what_changed() -> None:
    """The queue is shown after every step that changed it but an enqueue, and never twice in a row."""
    shows = {"jobs": {"J1": running(pending("J1"), "A", 1)}}
    claimed = call(2, "A", 2, "claim", [(CLAIM_ONE, ("A",), "UPDATE 1")], shows=shows)
    returned = Returned(step=3, client="A", call=2, status=Status.OK)
    assert order(render_spec(trace(*ENQUEUED, *claimed, returned))) == ["p_enqueue", "a_claim", "observer_look"]
