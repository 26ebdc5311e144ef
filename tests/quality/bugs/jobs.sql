-- The table that most of the queues in this folder share: what a team writes on its first day.
CREATE TABLE job_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload jsonb NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'pending',
    worker_id text,
    attempts integer NOT NULL DEFAULT 0,
    heartbeat_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_error text
);

CREATE INDEX job_queue_pending ON job_queue (priority DESC, id) WHERE status = 'pending';
CREATE INDEX job_queue_running ON job_queue (heartbeat_at) WHERE status = 'running';
