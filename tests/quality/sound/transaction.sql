-- Jobs of a pipeline: the stages of a run follow each other, and the run's status follows from its jobs.
CREATE TABLE pipeline_runs (
    run text PRIMARY KEY,
    status text NOT NULL DEFAULT 'pending'
);

CREATE TABLE job_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload jsonb NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    run text,
    stage integer,
    status text NOT NULL DEFAULT 'pending',
    worker_id text,
    attempts integer NOT NULL DEFAULT 0,
    heartbeat_at timestamptz
);

CREATE INDEX job_queue_pending ON job_queue (priority DESC, id) WHERE status = 'pending';
CREATE INDEX job_queue_run ON job_queue (run, stage);
