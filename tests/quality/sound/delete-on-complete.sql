-- The table holds what is still to do; what failed for good is kept elsewhere, what is done is gone.
CREATE TABLE job_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload jsonb NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    worker_id text,
    locked_until timestamptz
);

CREATE TABLE dead_jobs (
    id bigint PRIMARY KEY,
    payload jsonb NOT NULL,
    priority integer NOT NULL,
    attempts integer NOT NULL,
    error text
);

CREATE INDEX job_queue_head ON job_queue (priority DESC, id) WHERE locked_until IS NULL;
