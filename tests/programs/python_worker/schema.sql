CREATE TABLE jobs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  status text NOT NULL DEFAULT 'queued',
  worker text,
  attempt int NOT NULL DEFAULT 0,
  heartbeat_at timestamptz
);
