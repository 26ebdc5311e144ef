-- The system of the test plan as it stands: plausible, common, and passing its tests.
CREATE TABLE pipeline_runs (
    run    text PRIMARY KEY,
    status text NOT NULL DEFAULT 'pending'
);
CREATE TABLE job_queue (
    id           bigserial PRIMARY KEY,
    run          text,
    stage        integer,
    environment  text,
    payload      jsonb       NOT NULL DEFAULT '{}',
    priority     integer     NOT NULL DEFAULT 0,
    status       text        NOT NULL DEFAULT 'pending',
    attempts     integer     NOT NULL DEFAULT 0,
    worker_id    text,
    heartbeat_at timestamptz
);
CREATE INDEX job_queue_claim ON job_queue (priority DESC, id) WHERE status = 'pending';
CREATE TABLE environments (
    environment text PRIMARY KEY,
    version     bigint NOT NULL DEFAULT 0
);
INSERT INTO environments (environment) VALUES ('prod');
