-- The operations of the reference queue: one statement each, each right by itself at READ COMMITTED.
--
-- Parameters are written as psycopg takes them: %(name)s. A claim is named by (job, attempt): `attempts` grows with every
-- claim and never falls, so a former holder's statement finds no row. README.md beside this file says more.
--
-- The text of a statement, without its comment and the final semicolon, is part of the target's fingerprint: write
-- comments above a statement, not into it.

-- name: enqueue
-- Add a job. The partial unique index job_queue_live_key lets one live job have a key; a second one is dropped without an
-- error, and the statement returns no row. A finished job does not block its key.
INSERT INTO job_queue (payload, priority, unique_key, run, stage, environment, max_attempts)
VALUES (%(payload)s, %(priority)s, %(unique_key)s, %(run)s, %(stage)s, %(environment)s, %(max_attempts)s)
ON CONFLICT (unique_key) WHERE status IN ('pending', 'running') DO NOTHING
RETURNING id::text AS job;

-- name: claim
-- Take the next job. One statement, so that what it locks is what it changes. LIMIT 1 stands above the row lock in the
-- plan: a candidate that another worker has locked is skipped and the next one is looked at. All filters stand inside the
-- subselect, before the limit; a limit before a filter would starve everything behind a job that may not start yet.
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
RETURNING id::text AS job, attempts AS attempt, payload, run, stage, environment, priority;

-- name: heartbeat
-- Say that the holder is alive. No row changed means that the job has gone to somebody else: stop working on it.
UPDATE job_queue SET heartbeat_at = now() WHERE id = %(job)s::bigint AND attempts = %(attempt)s AND status = 'running';

-- name: complete
-- Settle a job as completed. The fence (id, attempts, 'running') finds a row only for the current holder, so a worker that
-- stalled and lost its job changes nothing.
UPDATE job_queue SET status = 'completed', finished_at = now(), worker = NULL WHERE id = %(job)s::bigint AND attempts = %(attempt)s AND status = 'running';

-- name: fail
-- Settle a job as failed: back to pending after a delay that doubles with every attempt, or failed for good after the last
-- attempt. The longest delay is 2^12 seconds, a little over an hour.
UPDATE job_queue
SET error = %(error)s, available_at = now() + make_interval(secs => 2 ^ least(attempts, 12)),
    status = CASE WHEN attempts < max_attempts THEN 'pending' ELSE 'failed' END,
    finished_at = CASE WHEN attempts < max_attempts THEN NULL ELSE now() END,
    worker = NULL
WHERE id = %(job)s::bigint AND attempts = %(attempt)s AND status = 'running';

-- name: retry
-- Give a job back at once. It counts as an attempt, so a job that is always given back still ends.
UPDATE job_queue
SET error = %(error)s,
    status = CASE WHEN attempts < max_attempts THEN 'pending' ELSE 'failed' END,
    finished_at = CASE WHEN attempts < max_attempts THEN NULL ELSE now() END,
    worker = NULL
WHERE id = %(job)s::bigint AND attempts = %(attempt)s AND status = 'running';

-- name: cancel
-- Cancel a job that has not ended. It needs no fence: anybody may cancel, and the state in WHERE makes sure that a final
-- state stays final. A running job's holder learns of it by its next heartbeat.
UPDATE job_queue SET status = 'cancelled', finished_at = now(), worker = NULL
WHERE id = %(job)s::bigint AND status IN ('pending', 'running');

-- name: reclaim
-- Take back the jobs of silent workers. SKIP LOCKED, so that it never waits and takes no part in a deadlock; what it skips
-- is found by the next reclaim. The second half cancels jobs that can never start, because a job that they need has failed
-- or was cancelled.
WITH reclaimed AS (
    UPDATE job_queue SET
    status = CASE WHEN attempts < max_attempts THEN 'pending' ELSE 'failed' END,
    finished_at = CASE WHEN attempts < max_attempts THEN NULL ELSE now() END,
    worker = NULL
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
SELECT (SELECT count(*) FROM reclaimed) AS reclaimed, (SELECT count(*) FROM stranded) AS stranded;

-- name: lock
-- Ask for an environment's deploy lock, for a claim. The lock is a row with a fence that grows; an advisory lock on the
-- fence says that the session of that claim is alive. It is granted if nobody holds it, or if its holder's claim or
-- session is gone (deploy_lock_is_held in schema.sql). No row: somebody else holds it.
WITH granted AS (
    INSERT INTO environments (environment, job, attempt, fence)
    SELECT %(environment)s, id, attempts, nextval('deploy_fence') FROM job_queue
    WHERE id = %(job)s::bigint AND attempts = %(attempt)s AND status = 'running' AND environment = %(environment)s
    ON CONFLICT (environment) DO UPDATE SET job = excluded.job, attempt = excluded.attempt, fence = excluded.fence
    WHERE NOT deploy_lock_is_held(environments)
    RETURNING fence)
SELECT pg_try_advisory_lock(7, fence) AS locked, fence FROM granted;

-- name: deploy
-- Deploy, if this claim was given the fence last and this very session holds it. Both are needed: the claim may be stale
-- while the session lives, and the session may be gone while the claim is current.
UPDATE environments SET version = version + 1
WHERE environment = %(environment)s AND job = %(job)s::bigint AND attempt = %(attempt)s
  AND EXISTS (
      SELECT FROM pg_locks
      WHERE locktype = 'advisory' AND classid = 7 AND objid = fence::oid AND objsubid = 2 AND pid = pg_backend_pid());

-- name: unlock
-- Give the deploy lock back. A claim that holds it no more changes nothing.
WITH freed AS (
    UPDATE environments SET job = NULL, attempt = NULL
    WHERE environment = %(environment)s AND job = %(job)s::bigint AND attempt = %(attempt)s
    RETURNING fence)
SELECT pg_advisory_unlock(7, fence) AS unlocked FROM freed;

-- name: log
-- Write a line. The job's row is locked before the line draws its sequence number, so for one job the numbers grow in the
-- order of the commits. A reader that has read up to a number has missed nothing below it.
INSERT INTO job_logs (job, line)
SELECT id, %(line)s FROM job_queue WHERE id = %(job)s::bigint AND attempts = %(attempt)s AND status = 'running' FOR NO KEY UPDATE
RETURNING sequence;
