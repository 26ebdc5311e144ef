"""The SQL of the reference queue: one statement an operation, each right by itself at READ COMMITTED.

A claim is named by (job, attempt): `attempts` grows with every claim, so the attempt number is the fence, and a former
holder's statement finds no row. docs/reference-queue.md says why each statement is as it is.
"""

from __future__ import annotations

__all__ = ["EXTRAS", "OBSERVATIONS", "STATEMENTS"]

_HELD = "id = %(job)s::bigint AND attempts = %(attempt)s AND status = 'running'"
_BACK_OR_FAILED = """
    status = CASE WHEN attempts < max_attempts THEN 'pending' ELSE 'failed' END,
    finished_at = CASE WHEN attempts < max_attempts THEN NULL ELSE now() END,
    worker = NULL"""

STATEMENTS: dict[str, str] = {
    "enqueue": """
INSERT INTO job_queue (payload, priority, unique_key, run, stage, environment, max_attempts)
VALUES (%(payload)s, %(priority)s, %(unique_key)s, %(run)s, %(stage)s, %(environment)s, %(max_attempts)s)
ON CONFLICT (unique_key) WHERE status IN ('pending', 'running') DO NOTHING
RETURNING id::text AS job
""",
    "claim": """
UPDATE job_queue
SET status = 'running', worker = %(worker)s, heartbeat_at = now(), attempts = attempts + 1
WHERE id = (
    SELECT id FROM job_queue AS next
    WHERE status = 'pending' AND available_at <= now()
      AND (run IS NULL OR NOT EXISTS (
          SELECT FROM job_queue AS before
          WHERE before.run = next.run AND before.stage < next.stage AND before.status <> 'completed'))
      AND (needs IS NULL OR NOT EXISTS (
          SELECT FROM job_queue AS needed WHERE needed.id = ANY (next.needs) AND needed.status <> 'completed'))
    ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id::text AS job, attempts AS attempt, payload, run, stage, environment, priority
""",
    "heartbeat": f"""
UPDATE job_queue SET heartbeat_at = now() WHERE {_HELD}
""",
    "complete": f"""
UPDATE job_queue SET status = 'completed', finished_at = now(), worker = NULL WHERE {_HELD}
""",
    "fail": f"""
UPDATE job_queue
SET error = %(error)s, available_at = now() + make_interval(secs => 2 ^ least(attempts, 12)),{_BACK_OR_FAILED}
WHERE {_HELD}
""",
    "retry": f"""
UPDATE job_queue
SET error = %(error)s,{_BACK_OR_FAILED}
WHERE {_HELD}
""",
    "cancel": """
UPDATE job_queue SET status = 'cancelled', finished_at = now(), worker = NULL
WHERE id = %(job)s::bigint AND status IN ('pending', 'running')
""",
    "reclaim": f"""
WITH reclaimed AS (
    UPDATE job_queue SET{_BACK_OR_FAILED}
    WHERE id IN (
        SELECT id FROM job_queue
        WHERE status = 'running' AND heartbeat_at < now() - make_interval(secs => %(heartbeat_timeout_seconds)s)
        ORDER BY id FOR UPDATE SKIP LOCKED)
    RETURNING id),
stranded AS (
    UPDATE job_queue SET status = 'cancelled', finished_at = now(), error = 'a job it needs did not complete'
    WHERE id IN (
        SELECT id FROM job_queue AS waiting
        WHERE status = 'pending'
          AND (EXISTS (
                  SELECT FROM job_queue AS before
                  WHERE before.run = waiting.run AND before.stage < waiting.stage
                    AND before.status IN ('failed', 'cancelled'))
               OR EXISTS (
                  SELECT FROM job_queue AS needed
                  WHERE needed.id = ANY (waiting.needs) AND needed.status IN ('failed', 'cancelled')))
        ORDER BY id FOR UPDATE SKIP LOCKED)
    RETURNING id)
SELECT (SELECT count(*) FROM reclaimed) AS reclaimed, (SELECT count(*) FROM stranded) AS stranded
""",
    "lock": """
WITH granted AS (
    INSERT INTO environments (environment, job, attempt, fence)
    SELECT %(environment)s, id, attempts, nextval('deploy_fence') FROM job_queue
    WHERE id = %(job)s::bigint AND attempts = %(attempt)s AND status = 'running' AND environment = %(environment)s
    ON CONFLICT (environment) DO UPDATE SET job = excluded.job, attempt = excluded.attempt, fence = excluded.fence
    WHERE NOT deploy_lock_is_held(environments)
    RETURNING fence)
SELECT pg_try_advisory_lock(7, fence) AS locked, fence FROM granted
""",
    "deploy": """
UPDATE environments SET version = version + 1
WHERE environment = %(environment)s AND job = %(job)s::bigint AND attempt = %(attempt)s
  AND EXISTS (
      SELECT FROM pg_locks
      WHERE locktype = 'advisory' AND classid = 7 AND objid = fence::oid AND objsubid = 2 AND pid = pg_backend_pid())
""",
    "unlock": """
WITH freed AS (
    UPDATE environments SET job = NULL, attempt = NULL
    WHERE environment = %(environment)s AND job = %(job)s::bigint AND attempt = %(attempt)s
    RETURNING fence)
SELECT pg_advisory_unlock(7, fence) AS unlocked FROM freed
""",
    "log": f"""
INSERT INTO job_logs (job, line)
SELECT id, %(line)s FROM job_queue WHERE {_HELD} FOR NO KEY UPDATE
RETURNING sequence
""",
}

EXTRAS: dict[str, str] = {
    "create_run": """
WITH given AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('job_queue', 'id')) AS id, place, stage, needs, environment, priority, payload
    FROM ROWS FROM (jsonb_to_recordset(%(jobs)s::jsonb)
                    AS (stage integer, needs integer[], environment text, priority integer, payload jsonb))
         WITH ORDINALITY AS job (stage, needs, environment, priority, payload, place)
)
INSERT INTO job_queue (id, run, max_attempts, stage, needs, environment, priority, payload) OVERRIDING SYSTEM VALUE
SELECT id, %(run)s, %(max_attempts)s, stage, (SELECT array_agg(needed.id ORDER BY needed.place) FROM given AS needed
                                                   WHERE needed.place - 1 = ANY (given.needs)),
       environment, priority, payload
FROM given ORDER BY place
RETURNING id::text AS job
""",
    "log_lines": f"""
WITH held AS (SELECT id FROM job_queue WHERE {_HELD} FOR NO KEY UPDATE),
added AS (
    INSERT INTO job_logs (job, line)
    SELECT id, told.line FROM held, unnest(%(lines)s::text[]) WITH ORDINALITY AS told (line, place) ORDER BY place
    RETURNING sequence)
SELECT min(sequence) AS first, max(sequence) AS last FROM added HAVING count(*) > 0
""",
    "due": """
SELECT extract(epoch FROM min(available_at) - now())::float8 AS seconds FROM job_queue
WHERE status = 'pending' AND available_at > created_at AND available_at > now()
""",
}
"""What a client may use beside the operations: a run's jobs at once, lines at once, when a delayed job is next due."""

OBSERVATIONS: dict[str, str] = {
    "jobs": """
SELECT id, id::text AS job, status AS state, worker AS holder, attempts AS attempt, priority, unique_key, run, stage,
       environment, needs, extract(epoch FROM available_at) AS eligible_at
FROM job_queue
""",
    "runs": "SELECT run, status AS state FROM pipeline_runs",
    "environments": "SELECT environment, version FROM environments",
    "logs": "SELECT job::text AS job, sequence, line FROM job_logs ORDER BY job, sequence",
}
