"""The reference queue with one thing wrong, as somebody might write it: what simulations are to find."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from pgqmodel.reference import reference
from pgqmodel.target import Statements, Target, compile_statement

__all__ = ["DEFECTS", "planted", "with_schema", "without_trigger"]

CLAIM = """
UPDATE job_queue
SET status = 'running', worker = %(worker)s, heartbeat_at = now(), attempts = attempts + 1
WHERE id = (
    SELECT id FROM job_queue AS next
    WHERE status = 'pending' AND available_at <= now() {gate}
    ORDER BY priority DESC, id LIMIT 1 {lock})
RETURNING id::text AS job, attempts AS attempt, payload, run, stage, environment, priority
"""
LOCKS = """
WITH granted AS (
    INSERT INTO environments (environment, job, attempt, fence)
    SELECT %(environment)s, id, attempts, nextval('deploy_fence') FROM job_queue
    WHERE id = %(job)s::bigint AND attempts = %(attempt)s AND status = 'running' AND environment = %(environment)s
    ON CONFLICT (environment) DO UPDATE SET job = excluded.job, attempt = excluded.attempt, fence = excluded.fence
    RETURNING fence)
SELECT pg_try_advisory_lock(7, fence) AS locked, fence FROM granted
"""
DEFECTS: Mapping[str, Mapping[str, str]] = {
    "claims whatever somebody else claims": {"claim": CLAIM.format(gate="", lock="")},
    "claims without the gate of stages": {"claim": CLAIM.format(gate="", lock="FOR UPDATE SKIP LOCKED")},
    "knows a claim by the job's number alone": {
        "heartbeat": "UPDATE job_queue SET heartbeat_at = now() WHERE id = %(job)s::bigint",
        "complete": "UPDATE job_queue SET status = 'completed', finished_at = now() WHERE id = %(job)s::bigint",
    },
    "takes back what is alive": {
        "reclaim": "UPDATE job_queue SET status = 'pending', worker = NULL WHERE status = 'running' RETURNING id"
    },
    "gives a lock to whoever asks": {"lock": LOCKS},
}


def planted(defect: str) -> Target:
    """The reference queue with a defect."""
    right = reference()
    wrong = {
        name: Statements(name=name, statements=(compile_statement(f"planted: {name}", sql.strip()),))
        for name, sql in DEFECTS[defect].items()
    }
    return evolve(right, operations={**right.operations, **wrong})


def with_schema(before: str, after: str) -> Target:
    """The reference queue with one piece of its schema exchanged."""
    right = reference()
    (script,) = right.setup
    assert script.sql.count(before) == 1
    return evolve(right, setup=(evolve(script, sql=script.sql.replace(before, after)),))


def without_trigger(trigger: str, table: str) -> Target:
    """The reference queue without one of its triggers."""
    right = reference()
    (script,) = right.setup
    return evolve(right, setup=(evolve(script, sql=f"{script.sql}\nDROP TRIGGER {trigger} ON {table};\n"),))
