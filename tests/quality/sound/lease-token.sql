-- The lease is a row of its own with a token of its own; a job without a live lease is free.
CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload jsonb NOT NULL,
    result text,
    token bigint,
    leased_until timestamptz,
    lines integer NOT NULL DEFAULT 0
);

CREATE SEQUENCE tokens;

CREATE TABLE job_logs (
    job_id bigint,
    sequence integer,
    line text NOT NULL,
    PRIMARY KEY (job_id, sequence)
);
