CREATE TABLE jobs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload      jsonb       NOT NULL DEFAULT '{}',
    priority     integer     NOT NULL DEFAULT 0,
    status       text        NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'working', 'done', 'dead', 'cancelled')),
    attempts     integer     NOT NULL DEFAULT 0,
    worker       text,
    heartbeat_at timestamptz
);
