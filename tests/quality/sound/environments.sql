-- Jobs for environments, of which each runs one job at a time.
CREATE TABLE job_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload jsonb NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    unique_key text,
    environment text,
    status text NOT NULL DEFAULT 'pending',
    worker_id text,
    attempts integer NOT NULL DEFAULT 0,
    heartbeat_at timestamptz,
    last_error text
);

CREATE INDEX job_queue_pending ON job_queue (priority DESC, id) WHERE status = 'pending';
CREATE INDEX job_queue_running ON job_queue (environment) WHERE status = 'running';
