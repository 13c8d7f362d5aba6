-- Version 8 of the embedded database: when a job was last stored, so that an owner's changes can be asked for.

ALTER TABLE jobs ADD COLUMN changed INTEGER; -- NULL of those that have not been since this version

CREATE INDEX jobs_changed ON jobs (owner, changed) WHERE changed IS NOT NULL;
