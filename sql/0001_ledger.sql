-- The books of ogdsync: what was run, what came, what is still missing.

CREATE TABLE ogdsync.lease (
  name       text PRIMARY KEY,
  holder     text NOT NULL,
  epoch      bigint NOT NULL,
  expires_at timestamptz NOT NULL
);
COMMENT ON TABLE ogdsync.lease IS 'who may write; every load transaction checks its epoch';

CREATE TABLE ogdsync.run (
  id          bigint PRIMARY KEY,
  dataset     text NOT NULL,
  source      text NOT NULL,
  trigger     text NOT NULL,
  state       text NOT NULL CHECK (state IN ('running', 'spooled', 'success', 'partial', 'suspect',
                'failed', 'canceled', 'interrupted', 'rolled_back')),
  code        text,
  error       text,
  started_at  timestamptz NOT NULL,
  finished_at timestamptz,
  slices      integer NOT NULL DEFAULT 1,
  received    bigint NOT NULL DEFAULT 0,
  inserted    bigint NOT NULL DEFAULT 0,
  updated     bigint NOT NULL DEFAULT 0,
  unchanged   bigint NOT NULL DEFAULT 0,
  duplicate   bigint NOT NULL DEFAULT 0,
  quarantined bigint NOT NULL DEFAULT 0,
  CONSTRAINT run_accounted
    CHECK (received = inserted + updated + unchanged + duplicate + quarantined)
);
CREATE INDEX run_by_source ON ogdsync.run (dataset, source, id DESC);
COMMENT ON COLUMN ogdsync.run.id IS 'made by the daemon: Unix milliseconds of the start, strictly rising';

CREATE TABLE ogdsync.run_slice (
  uuid        uuid PRIMARY KEY,
  run         bigint NOT NULL REFERENCES ogdsync.run (id) ON DELETE CASCADE,
  slice       text NOT NULL,
  data_date   date,
  state       text NOT NULL CHECK (state IN ('proven', 'partial', 'suspect', 'failed', 'rolled_back')),
  code        text,
  error       text,
  expected    bigint,
  received    bigint NOT NULL,
  distinct_rows bigint NOT NULL,
  inserted    bigint NOT NULL DEFAULT 0,
  updated     bigint NOT NULL DEFAULT 0,
  unchanged   bigint NOT NULL DEFAULT 0,
  duplicate   bigint NOT NULL DEFAULT 0,
  quarantined bigint NOT NULL DEFAULT 0,
  pages       integer NOT NULL,
  passes      integer NOT NULL,
  started_at  timestamptz NOT NULL,
  fetched_at  timestamptz NOT NULL,
  loaded_at   timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT run_slice_accounted CHECK (state = 'failed' OR
    received = inserted + updated + unchanged + duplicate + quarantined)
);
CREATE INDEX run_slice_by_run ON ogdsync.run_slice (run);
COMMENT ON TABLE ogdsync.run_slice IS
  'one committed slice; its uuid names the spool file and answers whether a lost COMMIT happened';

CREATE TABLE ogdsync.coverage (
  dataset       text NOT NULL,
  source        text NOT NULL,
  slice         text NOT NULL,
  data_date     date,
  state         text NOT NULL CHECK (state IN ('complete', 'open', 'partial', 'suspect', 'empty', 'missing')),
  expected      bigint,
  received      bigint NOT NULL DEFAULT 0,
  distinct_rows bigint NOT NULL DEFAULT 0,
  quarantined   bigint NOT NULL DEFAULT 0,
  code          text,
  attempts      integer NOT NULL DEFAULT 0,
  next_try      timestamptz,
  run           bigint,
  checked_at    timestamptz NOT NULL,
  PRIMARY KEY (dataset, source, slice)
);
CREATE INDEX coverage_by_day ON ogdsync.coverage (dataset, data_date);

CREATE TABLE ogdsync.quarantine (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset    text NOT NULL,
  source     text NOT NULL,
  slice      text NOT NULL,
  reason     text NOT NULL,
  "column"   text,
  detail     text,
  raw        bytea NOT NULL,
  digest     bytea NOT NULL,
  page       integer NOT NULL,
  position   integer NOT NULL,
  first_run  bigint NOT NULL,
  last_run   bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (dataset, digest, reason)
);
COMMENT ON COLUMN ogdsync.quarantine.raw IS 'the record''s bytes as the portal served them';

-- For people.

CREATE VIEW ogdsync.coverage_day AS
  SELECT DISTINCT ON (dataset, data_date)
         dataset, data_date, state, source, expected, received, distinct_rows, quarantined, run, checked_at
    FROM ogdsync.coverage
   WHERE data_date IS NOT NULL
     AND strpos(slice, '/') = 0 -- a part of a split slice says nothing about the whole day
   ORDER BY dataset, data_date,
            array_position(ARRAY['complete', 'open', 'partial', 'suspect', 'empty', 'missing'], state),
            checked_at DESC;

CREATE VIEW ogdsync.recent_runs AS
  SELECT id, dataset || '/' || source AS source, trigger, state, started_at,
         finished_at - started_at AS took, received, inserted, updated, unchanged, duplicate,
         quarantined, error
    FROM ogdsync.run
   ORDER BY id DESC
   LIMIT 100;
