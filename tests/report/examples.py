"""Three findings as the world records them, and a way to write such histories down: data for the tests of reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from pgqmodel.history import (
    Advanced,
    Blocked,
    Committed,
    Connected,
    Ended,
    Event,
    Invoked,
    Job,
    Observed,
    Ran,
    Returned,
)
from pgqmodel.operations import State, Status
from pgqmodel.steps import Advance, Begin, Connect, Cut, Fate, Go, Step
from pgqmodel.trace import Schema, Trace

__all__ = ["DOUBLE_CLAIM", "EXAMPLES", "STALE_DEPLOY", "STALE_SETTLEMENT", "begin", "call"]

NOW = 1_700_000_000.0

SCHEMA = """\
CREATE TABLE job_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload jsonb NOT NULL DEFAULT '{}',
    priority int NOT NULL DEFAULT 0,
    environment text,
    status text NOT NULL DEFAULT 'pending',
    worker_id text,
    heartbeat_at timestamptz,
    attempts int NOT NULL DEFAULT 0
);
CREATE TABLE environments (name text PRIMARY KEY, version bigint NOT NULL);
INSERT INTO environments VALUES ('prod', 0);
"""
OBSERVE_JOBS = """
SELECT id::text AS job, status AS state, worker_id AS holder, attempts AS attempt, priority FROM job_queue
"""
ENQUEUE = "INSERT INTO job_queue (payload, priority) VALUES ($1, $2) RETURNING id::text AS job"
CLAIM_ONE = """UPDATE job_queue SET status = 'running', worker_id = $1, heartbeat_at = now(), attempts = attempts + 1
     WHERE id = (SELECT id FROM job_queue WHERE status = 'pending' ORDER BY priority DESC, id LIMIT 1)
     RETURNING id::text AS job, attempts AS attempt"""
CLAIM_SELECT = (
    "SELECT id FROM job_queue WHERE status = 'pending' ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED"
)
CLAIM_UPDATE = """UPDATE job_queue SET status = 'running', worker_id = $1, heartbeat_at = now(), attempts = attempts + 1
     WHERE id = $2 RETURNING id::text AS job, attempts AS attempt, environment"""
RECLAIM = """UPDATE job_queue SET status = 'pending', worker_id = NULL
                 WHERE status = 'running' AND heartbeat_at < now() - make_interval(secs => $1)"""
COMPLETE = "UPDATE job_queue SET status = 'completed' WHERE id = $1::bigint AND status = 'running'"
ENQUEUE_DEPLOY = "INSERT INTO job_queue (payload, environment) VALUES ($1, $2) RETURNING id::text AS job"
LOCK = "SELECT pg_try_advisory_lock(hashtext($1))"
DEPLOY = "UPDATE environments SET version = $1::bigint WHERE name = $2"


def begin(client: str, operation: str, stop: int = 0, **arguments: Any) -> Step:
    """A step that begins an operation."""
    return Begin(client=client, operation=operation, stop=stop, arguments=arguments)


def invoked(step: int, client: str, number: int, operation: str, **fields: Any) -> Invoked:
    """A client, its worker's name taken from its own, begins a call."""
    return Invoked(step=step, client=client, worker=client[0], call=number, operation=operation, **fields)


def call(
    step: int,
    client: str,
    number: int,
    operation: str,
    runs: Sequence[tuple[Any, ...]],
    *,
    shows: dict[str, Any] | None = None,
    status: Status = Status.OK,
    took: str | None = None,
    **fields: Any,
) -> list[Event]:
    """A call that nothing interrupts: each of `runs` is a statement, its parameters and its tag."""
    made = [
        Ran(step=step, client=client, call=number, sql=sql, parameters=parameters, tag=tag, open=True)
        for sql, parameters, tag in runs
    ]
    return [
        invoked(step, client, number, operation, **fields),
        *made,
        Committed(step=step, client=client, call=number),
        *([Observed(step=step, by=(number,), **shows)] if shows else []),
        Returned(step=step, client=client, call=number, status=status, job=took),
    ]


def start(*clients: str) -> list[Event]:
    """What every history begins with."""
    connected = [Connected(step=0, client=client, worker=client) for client in clients]
    return [*connected, Advanced(step=0, seconds=0.0, now=NOW)]


def pending(name: str, **fields: Any) -> Job:
    """A job that waits."""
    return Job(job=name, state=State.PENDING, attempt=0, priority=0, **fields)


def running(job: Job, holder: str, attempt: int) -> Job:
    """The same job, claimed."""
    return evolve(job, state=State.RUNNING, holder=holder, attempt=attempt)


def _enqueued(step: int, name: str) -> list[Event]:
    runs = [(ENQUEUE, ("{}", 0), "INSERT 0 1")]
    return call(step, "P", step, "enqueue", runs, shows={"jobs": {name: pending(name)}}, took=name)


def _trace(**fields: Any) -> Trace:
    schema = Schema(
        setup=(("schema.sql", SCHEMA),),
        observe={"jobs": OBSERVE_JOBS},
        timestamps={"job_queue": ("heartbeat_at",)},
    )
    common: dict[str, Any] = {
        "version": "0.1.0",
        "target": "demo/jobs.toml",
        "name": "jobs",
        "fingerprint": "3b1f0c2d",
        "postgres": "18.4",
        "seed": 7,
        "workers": ("A", "B"),
        "settings": {"heartbeat_timeout_seconds": 30, "max_attempts": 3},
        "schema": schema,
    }
    return Trace(**common | fields)


J1, J2 = pending("J1"), pending("J2")

DOUBLE_CLAIM = _trace(
    anomaly="double-claim",
    promise="exclusive-claim",
    explanation=(
        "A claimed J1 at step 4 and holds it: its lease has not lapsed.",
        "Yet B's claim of J1 took effect at step 5.",
    ),
    job="J1",
    steps=(
        begin("P", "enqueue"),
        begin("A", "claim", 2),
        begin("B", "claim"),
        Go(client="A"),
        Go(client="B"),
    ),
    shrunk_steps=4,
    history=(
        *start("A", "B"),
        *_enqueued(1, "J1"),
        invoked(2, "A", 2, "claim"),
        Ran(step=2, client="A", call=2, sql=CLAIM_ONE, parameters=("A",), tag="UPDATE 1", open=True),
        invoked(3, "B", 3, "claim"),
        Blocked(step=3, client="B", call=3, by=("A",)),
        Committed(step=4, client="A", call=2),
        Ran(step=4, client="B", call=3, sql=CLAIM_ONE, parameters=("B",), tag="UPDATE 1", open=True),
        Observed(step=4, by=(2,), jobs={"J1": running(J1, "A", 1)}),
        Returned(step=4, client="A", call=2, status=Status.OK, job="J1"),
        Committed(step=5, client="B", call=3),
        Observed(step=5, by=(3,), jobs={"J1": running(J1, "B", 2)}),
        Returned(step=5, client="B", call=3, status=Status.OK, job="J1"),
    ),
)

_CLAIMED = [(CLAIM_SELECT, (), "SELECT 1")]

STALE_SETTLEMENT = _trace(
    anomaly="stale-settlement",
    promise="fenced-settlement",
    explanation=(
        "A claimed J1 at step 2.",
        "It lost that claim at step 4: M's reclaim took J1 back.",
        "B has held J1 since step 5.",
        "Yet A's complete took effect at step 6: J1 went from running (B, attempt 2) to completed.",
    ),
    job="J1",
    steps=(
        begin("P", "enqueue"),
        begin("A", "claim"),
        Advance(seconds=31.0),
        begin("M", "reclaim"),
        begin("B", "claim"),
        begin("A", "complete"),
    ),
    shrunk_steps=5,
    history=(
        *start("A", "B"),
        *_enqueued(1, "J1"),
        *call(
            2,
            "A",
            2,
            "claim",
            [*_CLAIMED, (CLAIM_UPDATE, ("A", 1), "UPDATE 1")],
            shows={"jobs": {"J1": running(J1, "A", 1)}},
            took="J1",
        ),
        Advanced(step=3, seconds=31.0, now=NOW + 31),
        *call(4, "M", 3, "reclaim", [(RECLAIM, (30,), "UPDATE 1")], shows={"jobs": {"J1": evolve(J1, attempt=1)}}),
        *call(
            5,
            "B",
            4,
            "claim",
            [*_CLAIMED, (CLAIM_UPDATE, ("B", 1), "UPDATE 1")],
            shows={"jobs": {"J1": running(J1, "B", 2)}},
            took="J1",
        ),
        *call(
            6,
            "A",
            5,
            "complete",
            [(COMPLETE, ("1",), "UPDATE 1")],
            shows={"jobs": {"J1": evolve(running(J1, "B", 2), state=State.COMPLETED)}},
            job="J1",
            claim=2,
        ),
    ),
)


def _deploy_job(step: int, name: str) -> list[Event]:
    runs = [(ENQUEUE_DEPLOY, ("{}", "prod"), "INSERT 0 1")]
    shows = {"jobs": {name: pending(name, environment="prod")}}
    arguments = {"environment": "prod"}
    return call(step, "P", step, "enqueue", runs, shows=shows, took=name, arguments=arguments)


def _claimed_and_locked(step: int, client: str, number: int, name: str) -> list[Event]:
    job = pending(name, environment="prod")
    runs = [*_CLAIMED, (CLAIM_UPDATE, (client, int(name[1:])), "UPDATE 1")]
    lock = [(LOCK, ("prod",), "SELECT 1")]
    return [
        *call(step, client, number, "claim", runs, shows={"jobs": {name: running(job, client, 1)}}, took=name),
        *call(step + 1, client, number + 1, "lock", lock, job=name, claim=number),
    ]


STALE_DEPLOY = _trace(
    anomaly="stale-deploy",
    promise="fenced-deploy",
    explanation=(
        "A does not hold the deploy lock of prod any more. B has held it since step 7.",
        "Yet its deploy took effect at step 9.",
    ),
    job="J1",
    steps=(
        begin("P", "enqueue", environment="prod"),
        begin("P", "enqueue", environment="prod"),
        begin("A", "claim"),
        begin("A", "lock"),
        Cut(client="A", fate=Fate.BEFORE),
        begin("B", "claim"),
        begin("B", "lock"),
        Connect(client="A"),
        begin("A", "deploy"),
    ),
    shrunk_steps=7,
    schema=Schema(
        setup=(("schema.sql", SCHEMA),),
        observe={"jobs": OBSERVE_JOBS, "environments": "SELECT name AS environment, version FROM environments"},
    ),
    history=(
        *start("A", "B"),
        Observed(step=0, environments={"prod": 0}),
        *_deploy_job(1, "J1"),
        *_deploy_job(2, "J2"),
        *_claimed_and_locked(3, "A", 3, "J1"),
        Ended(step=5, client="A"),
        *_claimed_and_locked(6, "B", 5, "J2"),
        Connected(step=8, client="A", worker="A"),
        *call(
            9,
            "A",
            7,
            "deploy",
            [(DEPLOY, (1, "prod"), "UPDATE 1")],
            shows={"environments": {"prod": 1}},
            job="J1",
            claim=3,
        ),
    ),
)

EXAMPLES = {trace.anomaly: trace for trace in (DOUBLE_CLAIM, STALE_SETTLEMENT, STALE_DEPLOY)}
