-- Version 2 of the embedded database: tokens that were ended, and failed logins.

CREATE TABLE revoked (
	who     BLOB    NOT NULL, -- fingerprint of an address
	token   BLOB    NOT NULL, -- of one token; zeros mean all that are older than version
	version INTEGER NOT NULL,
	expires INTEGER NOT NULL, -- in seconds; 0 is never
	changed INTEGER NOT NULL, -- in seconds
	PRIMARY KEY (who, token)
) STRICT, WITHOUT ROWID;

CREATE INDEX revoked_changed ON revoked (changed);
CREATE INDEX revoked_expires ON revoked (expires) WHERE expires > 0;

CREATE TABLE login_failures (
	slot     INTEGER NOT NULL PRIMARY KEY,
	failures INTEGER NOT NULL,
	last     INTEGER NOT NULL
) STRICT;
