-- The reference queue. Everything that guards it against races is a condition inside the statement that changes a row;
-- the statements are in operations.sql, the reasons in docs/reference-queue.md.

CREATE TABLE job_queue (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run          text,
    stage        integer,
    needs        bigint[],
    environment  text,
    unique_key   text,
    payload      jsonb       NOT NULL DEFAULT '{}',
    priority     integer     NOT NULL DEFAULT 0,
    status       text        NOT NULL DEFAULT 'pending'
                 CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    attempts     integer     NOT NULL DEFAULT 0,
    max_attempts integer     NOT NULL DEFAULT 3 CHECK (max_attempts > 0),
    worker       text,
    heartbeat_at timestamptz,
    available_at timestamptz NOT NULL DEFAULT now(),
    error        text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz
);

-- Live rows only, so that claiming costs the same beside a million finished jobs.
CREATE INDEX job_queue_pending ON job_queue (priority DESC, id) WHERE status = 'pending';
CREATE INDEX job_queue_running ON job_queue (heartbeat_at) WHERE status = 'running';
CREATE INDEX job_queue_delayed ON job_queue (available_at) WHERE status = 'pending' AND available_at > created_at;
CREATE INDEX job_queue_unfinished ON job_queue (run, stage) WHERE status <> 'completed' AND run IS NOT NULL;
CREATE INDEX job_queue_run ON job_queue (run) WHERE run IS NOT NULL;
CREATE UNIQUE INDEX job_queue_live_key ON job_queue (unique_key) WHERE status IN ('pending', 'running');

-- A run's status is not stored, so it cannot lag behind its jobs.
CREATE VIEW pipeline_runs AS
SELECT run,
       CASE WHEN bool_and(status = 'pending') THEN 'pending'
            WHEN bool_and(status = 'completed') THEN 'completed'
            WHEN bool_or(status IN ('pending', 'running')) THEN 'running'
            WHEN bool_or(status = 'failed') THEN 'failed'
            ELSE 'cancelled'
       END AS status,
       count(*) AS jobs,
       min(created_at) AS created_at
FROM job_queue
WHERE run IS NOT NULL
GROUP BY run;

-- Who may deploy: the claim (job, attempt) that was given the fence last, while its session lives.
CREATE TABLE environments (
    environment text PRIMARY KEY,
    job         bigint,
    attempt     integer,
    fence       integer NOT NULL,
    version     bigint  NOT NULL DEFAULT 0
);
CREATE SEQUENCE deploy_fence AS integer;

-- A lock is held while its job is running under the claim that took it and the session that took it lives: that session
-- holds an advisory lock on the fence. Volatile and PL/pgSQL on purpose: it looks with a snapshot of its own, because the
-- statement that asks may have waited, and its snapshot may be older than the claim it asks about.
CREATE FUNCTION deploy_lock_is_held(environments) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM job_queue
        WHERE id = $1.job AND attempts = $1.attempt AND status = 'running'
    ) AND EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND classid = 7 AND objid = $1.fence::oid AND objsubid = 2 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    );
END
$$;

CREATE TABLE job_logs (
    job      bigint NOT NULL REFERENCES job_queue ON DELETE CASCADE,
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    line     text   NOT NULL,
    PRIMARY KEY (job, sequence)
);

-- Whoever waits is woken when a job may have become claimable: enqueued, given back, or a stage completed.
CREATE FUNCTION wake_workers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('job_queue', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER wake_on_enqueue AFTER INSERT ON job_queue
    FOR EACH STATEMENT EXECUTE FUNCTION wake_workers();
CREATE TRIGGER wake_on_change AFTER UPDATE OF status ON job_queue
    FOR EACH ROW WHEN (NEW.status = 'pending' OR (NEW.status = 'completed' AND NEW.run IS NOT NULL))
    EXECUTE FUNCTION wake_workers();

-- Lines are announced in the order of their sequence, as many consecutive ones of a job in a notification as fit into its
-- 8000 bytes. A line that does not fit by itself is announced by where it is; it is never cut here.
CREATE FUNCTION publish_lines() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    added   record;
    packed  text;
    job     bigint;
    first   bigint;
    last    bigint;
BEGIN
    FOR added IN SELECT l.job, l.sequence, to_json(l.line)::text AS line FROM lines AS l ORDER BY l.sequence LOOP
        IF packed IS NOT NULL AND added.job = job AND added.sequence = last + 1
           AND octet_length(packed) + octet_length(added.line) + 1 <= 7900 THEN
            packed := packed || ',' || added.line;
        ELSE
            IF packed IS NOT NULL THEN
                PERFORM pg_notify('job_logs', format('{"job":%s,"sequence":%s,"lines":[%s]}', job, first, packed));
                packed := NULL;
            END IF;
            IF octet_length(added.line) <= 7900 THEN
                job := added.job;
                first := added.sequence;
                packed := added.line;
            ELSE
                PERFORM pg_notify('job_logs', format('{"job":%s,"sequence":%s}', added.job, added.sequence));
            END IF;
        END IF;
        last := added.sequence;
    END LOOP;
    IF packed IS NOT NULL THEN
        PERFORM pg_notify('job_logs', format('{"job":%s,"sequence":%s,"lines":[%s]}', job, first, packed));
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER publish_lines AFTER INSERT ON job_logs REFERENCING NEW TABLE AS lines
    FOR EACH STATEMENT EXECUTE FUNCTION publish_lines();

-- The deliveries that became runs: whoever inserts one makes its run in the same statement, so a replay makes none.
CREATE TABLE webhook_deliveries (
    source      text        NOT NULL,
    delivery    text        NOT NULL,
    run         text        NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, delivery)
);
