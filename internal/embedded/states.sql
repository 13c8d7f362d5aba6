-- Version 9 of the embedded database: jobs in a state by their age, for operators.

DROP INDEX jobs_state;
CREATE INDEX jobs_state ON jobs (state, id);
