-- A job queue in one table. pgqmodel sets it up in a database of its own and drops it afterwards.
CREATE TABLE jobs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload      jsonb       NOT NULL DEFAULT '{}',
    priority     integer     NOT NULL DEFAULT 0,
    status       text        NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'working', 'done', 'dead', 'cancelled')),
    attempts     integer     NOT NULL DEFAULT 0,
    worker       text,
    heartbeat_at timestamptz
);

-- What claiming reads: only what waits, in the order in which it is claimed.
CREATE INDEX jobs_queued ON jobs (priority DESC, id) WHERE status = 'queued';
CREATE INDEX jobs_working ON jobs (heartbeat_at) WHERE status = 'working';
