-- Version 7 of the embedded database: which jobs have ended and do not say how long their files are kept.

CREATE INDEX jobs_undated ON jobs (id) WHERE state IN ('done', 'failed') AND json_extract(body, '$.dated') IS NULL;
