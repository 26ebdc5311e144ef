-- Everything a job needs in one row; the fence is the number of the attempt.
CREATE TABLE job_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload jsonb NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    unique_key text,
    status text NOT NULL DEFAULT 'pending',
    worker_id text,
    attempts integer NOT NULL DEFAULT 0,
    ready_at timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz,
    last_error text
);

CREATE INDEX job_queue_pending ON job_queue (priority DESC, id) WHERE status = 'pending';
CREATE INDEX job_queue_running ON job_queue (heartbeat_at) WHERE status = 'running';
CREATE UNIQUE INDEX job_queue_key ON job_queue (unique_key) WHERE status IN ('pending', 'running');
