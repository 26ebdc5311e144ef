-- Jobs that deploy to an environment, and what is deployed there.
CREATE TABLE environments (
    environment text PRIMARY KEY,
    version integer NOT NULL
);

CREATE TABLE job_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment text,
    status text NOT NULL DEFAULT 'pending',
    worker_id text,
    attempts integer NOT NULL DEFAULT 0,
    heartbeat_at timestamptz
);
