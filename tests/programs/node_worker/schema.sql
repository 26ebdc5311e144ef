CREATE TABLE jobs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  environment text,
  status text NOT NULL DEFAULT 'queued',
  worker text,
  attempt int NOT NULL DEFAULT 0,
  heartbeat_at timestamptz
);

CREATE FUNCTION announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NOTIFY jobs;
  RETURN NULL;
END $$;

CREATE TRIGGER announced AFTER INSERT ON jobs FOR EACH STATEMENT EXECUTE FUNCTION announce();
