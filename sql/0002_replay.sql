-- What was loaded again, and of what it is the repetition.

ALTER TABLE ogdsync.run_slice ADD COLUMN replay_of uuid;
COMMENT ON COLUMN ogdsync.run_slice.replay_of IS
  'the slice whose pages or records this one loaded again; NULL: it was fetched';
