-- What a client may use beside the operations. The form of this file is that of operations.sql.

-- name: create_run
-- Create a run's jobs at once, or none of them. `needs` counts the jobs of this run from 0; the identifiers are drawn
-- first, so that jobs can name each other.
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
RETURNING id::text AS job;

-- name: log_lines
-- Write several lines in one statement, in their order, under the same fence and the same row lock as `log`. No row: the
-- job was not held any more, and nothing was written.
WITH held AS (SELECT id FROM job_queue WHERE id = %(job)s::bigint AND attempts = %(attempt)s AND status = 'running' FOR NO KEY UPDATE),
added AS (
    INSERT INTO job_logs (job, line)
    SELECT id, told.line FROM held, unnest(%(lines)s::text[]) WITH ORDINALITY AS told (line, place) ORDER BY place
    RETURNING sequence)
SELECT min(sequence) AS first, max(sequence) AS last FROM added HAVING count(*) > 0;

-- name: due
-- In how many seconds the next delayed job becomes ready. A worker that waits for a notification must wait no longer,
-- because nobody notifies when time passes.
SELECT extract(epoch FROM min(available_at) - now())::float8 AS seconds FROM job_queue
WHERE status = 'pending' AND available_at > created_at AND available_at > now();
