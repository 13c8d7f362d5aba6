-- Version 5 of the embedded database: what there is to do, readable from indexes alone.

ALTER TABLE jobs ADD COLUMN since INTEGER; -- while there is an MP3 to wait for

CREATE INDEX jobs_since ON jobs (since) WHERE since IS NOT NULL;
CREATE INDEX jobs_state ON jobs (state);
