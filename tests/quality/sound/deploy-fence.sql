-- A deploy lock belongs to one attempt of one job: it is held while that attempt is current, and only then.
CREATE TABLE job_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment text,
    status text NOT NULL DEFAULT 'pending',
    worker_id text,
    attempts integer NOT NULL DEFAULT 0,
    heartbeat_at timestamptz
);

CREATE TABLE deploy_locks (
    environment text PRIMARY KEY,
    job_id bigint,
    attempt integer
);

CREATE TABLE environments (
    environment text PRIMARY KEY,
    version integer NOT NULL
);
