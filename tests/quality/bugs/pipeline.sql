-- Jobs that belong to a run and a stage of it.
CREATE TABLE pipeline_runs (
    run text PRIMARY KEY,
    status text NOT NULL DEFAULT 'pending'
);

CREATE TABLE job_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run text,
    stage integer,
    status text NOT NULL DEFAULT 'pending',
    worker_id text,
    attempts integer NOT NULL DEFAULT 0,
    last_error text
);

CREATE INDEX job_queue_run ON job_queue (run, stage);
