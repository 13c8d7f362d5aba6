-- Version 4 of the embedded database: mails have HTML beside their text.

ALTER TABLE mails ADD COLUMN html TEXT NOT NULL DEFAULT '';
