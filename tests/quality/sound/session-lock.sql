-- A job runs if its advisory lock (1, id) is held; an environment is taken if (2, environment) is.
CREATE TABLE jobs (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    priority integer NOT NULL DEFAULT 0,
    environment text,
    status text NOT NULL DEFAULT 'pending'
);

CREATE TABLE environments (
    environment text PRIMARY KEY,
    version integer NOT NULL
);

CREATE FUNCTION held_by_me(kind integer, key integer) RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
        AND classid = kind::oid AND objid = (key::bigint & 4294967295)::oid
    )
$$;
