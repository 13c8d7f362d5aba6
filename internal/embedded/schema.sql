-- Version 1 of the embedded database. Times are milliseconds since 1970, UTC; NULL is never.

CREATE TABLE users (
	email    TEXT    NOT NULL PRIMARY KEY COLLATE NOCASE,
	password TEXT    NOT NULL,
	admin    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A job is its body. The other columns repeat what queries ask for.
CREATE TABLE jobs (
	id       TEXT    NOT NULL PRIMARY KEY,
	version  INTEGER NOT NULL,
	owner    TEXT    NOT NULL,
	key      TEXT    NOT NULL UNIQUE,
	visible  INTEGER NOT NULL,
	ring_at  INTEGER,
	clean_at INTEGER,
	body     TEXT    NOT NULL -- JSON
) STRICT;

-- Only what is due some day is in these two: the sweeper's questions cost what they find.
CREATE INDEX jobs_ring  ON jobs (ring_at)  WHERE ring_at  IS NOT NULL;
CREATE INDEX jobs_clean ON jobs (clean_at) WHERE clean_at IS NOT NULL;
CREATE INDEX jobs_owner ON jobs (owner, id) WHERE visible;
CREATE INDEX jobs_mp3   ON jobs (json_extract(body, '$.mp3')) WHERE json_extract(body, '$.mp3') IS NOT NULL;

CREATE TABLE mails (
	id         INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of arrival
	message_id TEXT    NOT NULL UNIQUE,
	sender     TEXT    NOT NULL,
	recipient  TEXT    NOT NULL,
	subject    TEXT    NOT NULL,
	body       TEXT    NOT NULL,
	date       INTEGER NOT NULL
) STRICT;
