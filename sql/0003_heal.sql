-- What healing must know of a slice to decide when to ask for it again.

ALTER TABLE ogdsync.coverage
  ADD COLUMN tries   integer NOT NULL DEFAULT 0,
  ADD COLUMN zeros   integer NOT NULL DEFAULT 0,
  ADD COLUMN zero_at timestamptz;
COMMENT ON COLUMN ogdsync.coverage.attempts IS 'looks';
COMMENT ON COLUMN ogdsync.coverage.tries IS 'looks in vain since the day was over; each makes the next one wait longer';
COMMENT ON COLUMN ogdsync.coverage.zeros IS 'looks a day apart that found nothing, the last ones in a row; three make it empty';
