-- Version 3 of the embedded database: what an owner's jobs take, readable from an index alone.

ALTER TABLE jobs ADD COLUMN state TEXT    NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0; -- of the video and the MP3

UPDATE jobs SET
	state = json_extract(body, '$.state'),
	bytes = json_extract(body, '$.video_bytes') + coalesce(json_extract(body, '$.mp3_bytes'), 0);

CREATE INDEX jobs_usage ON jobs (owner, state, bytes);
