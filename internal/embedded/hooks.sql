-- Version 6 of the embedded database: webhooks. As a job, a hook and a delivery are their bodies.

ALTER TABLE jobs ADD COLUMN tell_at INTEGER;
CREATE INDEX jobs_tell ON jobs (tell_at) WHERE tell_at IS NOT NULL;

CREATE TABLE hooks (
	id      TEXT    NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL,
	owner   TEXT    NOT NULL,
	slot    INTEGER NOT NULL,
	next_at INTEGER,
	body    TEXT    NOT NULL, -- JSON
	UNIQUE (owner, slot)
) STRICT;

CREATE INDEX hooks_next ON hooks (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE deliveries (
	id      TEXT    NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL,
	hook    TEXT    NOT NULL,
	due_at  INTEGER,
	changed INTEGER NOT NULL,
	body    TEXT    NOT NULL -- JSON
) STRICT;

CREATE INDEX deliveries_hook    ON deliveries (hook, id);
CREATE INDEX deliveries_due     ON deliveries (hook, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_changed ON deliveries (changed);
