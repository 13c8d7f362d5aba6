package embedded

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"mp3converter/internal/job"
)

// Ledger keeps jobs, on the terms of porttest.Ledger.
type Ledger struct{ db *DB }

// Jobs returns the ledger of the database.
func (db *DB) Jobs() *Ledger { return &Ledger{db} }

// All that is asked of the jobs: each is answered from an index, however many there are.
const (
	getQuery = `SELECT body FROM jobs WHERE id = ?`

	keyQuery = `SELECT body FROM jobs WHERE key = ?`

	updateStatement = `UPDATE jobs SET version = ?2, owner = ?3, key = ?4, visible = ?5, ring_at = ?6, clean_at = ?7, body = ?8,
		state = ?9, bytes = ?10, since = ?11 WHERE id = ?1 AND version = ?2 - 1`

	removeStatement = `DELETE FROM jobs WHERE id = ?`

	mp3Query = `SELECT body FROM jobs WHERE json_extract(body, '$.mp3') = ?2 AND owner = ?1 AND visible LIMIT 1`

	allMP3Query = `SELECT body FROM jobs WHERE json_extract(body, '$.mp3') = ?1 AND visible LIMIT 100`

	listQuery = `SELECT body FROM jobs WHERE owner = ?1 AND visible AND id < ?2 ORDER BY id DESC LIMIT ?3`

	usageQuery = `SELECT state, count(*), sum(bytes) FROM jobs WHERE owner = ?1 GROUP BY state`

	dueQuery = `SELECT body FROM (
		SELECT id, body, min(due) AS due FROM (
			SELECT * FROM (SELECT id, body, ring_at  AS due FROM jobs WHERE ring_at  <= ?1 ORDER BY ring_at  LIMIT ?2)
			UNION ALL
			SELECT * FROM (SELECT id, body, clean_at AS due FROM jobs WHERE clean_at <= ?1 ORDER BY clean_at LIMIT ?2)
		) GROUP BY id
	) ORDER BY due, id`
)

// Insert stores a new job at Version 1; fs.ErrExist if its ID or Key is taken.
func (l *Ledger) Insert(ctx context.Context, j job.Job) error {
	const statement = `INSERT INTO jobs (id, version, owner, key, visible, ring_at, clean_at, body, state, bytes, since)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	j.Version = 1
	if _, err := l.store(ctx, statement, j); err != nil {
		return fmt.Errorf("insert job %s: %w", j.ID, err)
	}
	return nil
}

// Get returns the job; fs.ErrNotExist if there is none.
func (l *Ledger) Get(ctx context.Context, id string) (job.Job, error) {
	j, err := l.one(ctx, getQuery, id)
	if err != nil {
		return job.Job{}, fmt.Errorf("get job %.40q: %w", id, err)
	}
	return j, nil
}

// ByKey returns the job with that Key; fs.ErrNotExist if there is none.
func (l *Ledger) ByKey(ctx context.Context, key string) (job.Job, error) {
	j, err := l.one(ctx, keyQuery, key)
	if err != nil {
		return job.Job{}, fmt.Errorf("get the job of key %.80q: %w", key, err)
	}
	return j, nil
}

// ByMP3 returns the owner's visible job whose MP3 has that id; fs.ErrNotExist if there is none.
func (l *Ledger) ByMP3(ctx context.Context, owner, id string) (job.Job, error) {
	j, err := l.one(ctx, mp3Query, owner, id)
	if err != nil {
		return job.Job{}, fmt.Errorf("get the job of mp3 %.40q: %w", id, err)
	}
	return j, nil
}

// AllByMP3 returns the visible jobs whose MP3 has that id, whoever owns them. Only messages of the original system can make
// more than one.
func (l *Ledger) AllByMP3(ctx context.Context, id string) ([]job.Job, error) {
	jobs, err := l.all(ctx, allMP3Query, id)
	if err != nil {
		return nil, fmt.Errorf("get the jobs of mp3 %.40q: %w", id, err)
	}
	return jobs, nil
}

// Update stores what change makes of the job, unless somebody else was faster: then it starts over, and change runs
// again. An error of change is returned as it is, with the job as read.
func (l *Ledger) Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error) {
	for {
		read, err := l.Get(ctx, id)
		if err != nil {
			return job.Job{}, err
		}
		j := read
		j.Tried = slices.Clone(read.Tried)
		if err := change(&j); err != nil {
			return read, err
		}
		j.ID, j.Version = read.ID, read.Version+1
		stored, err := l.store(ctx, updateStatement, j)
		if err != nil {
			return job.Job{}, fmt.Errorf("update job %s: %w", id, err)
		}
		if stored {
			return j, nil
		} // another writer has succeeded, so all together get on
	}
}

// Remove forgets the job. Absence is nil.
func (l *Ledger) Remove(ctx context.Context, id string) error {
	if _, err := l.db.write.ExecContext(ctx, removeStatement, id); err != nil {
		return fmt.Errorf("remove job %.40q: %w", id, err)
	}
	return nil
}

// List returns the owner's visible jobs, newest first, at most limit, only ids below before unless that is "".
func (l *Ledger) List(ctx context.Context, owner, before string, limit int) ([]job.Job, error) {
	const beyond = "\U0010FFFF" // all ids: a page far back costs no more than the first
	jobs, err := l.all(ctx, listQuery, owner, cmp.Or(before, beyond), max(0, limit))
	if err != nil {
		return nil, fmt.Errorf("list jobs of %s: %w", owner, err)
	}
	return jobs, nil
}

// Usage returns what the owner's jobs take.
func (l *Ledger) Usage(ctx context.Context, owner string) (u job.Usage, err error) {
	var rows *sql.Rows
	if rows, err = l.db.read.QueryContext(ctx, usageQuery, owner); err == nil {
		_, err = collect(rows, func(scan func(...any) error) (state job.State, err error) {
			var jobs int
			var bytes int64
			err = scan(&state, &jobs, &bytes)
			u.Count(state, jobs, bytes)
			return state, err
		})
	}
	if err != nil {
		return job.Usage{}, fmt.Errorf("add up what %s takes: %w", owner, err)
	}
	return u, nil
}

// Due returns the jobs that a sweeper must see to, at most limit of each kind, the longest due first.
func (l *Ledger) Due(ctx context.Context, now time.Time, limit int) ([]job.Job, error) {
	jobs, err := l.all(ctx, dueQuery, now.UnixMilli(), max(0, limit))
	if err != nil {
		return nil, fmt.Errorf("list due jobs: %w", err)
	}
	return jobs, nil
}

// store runs a statement whose parameters are the columns in the table's order, and reports whether it changed a row.
func (l *Ledger) store(ctx context.Context, statement string, j job.Job) (bool, error) {
	body, err := json.Marshal(j)
	if err != nil {
		return false, err
	}
	stored, err := changed(l.db.write.ExecContext(ctx, statement,
		j.ID, j.Version, j.Owner, j.Key, j.Visible(), millis(j.RingAt), millis(j.CleanAt), string(body), j.State, j.VideoBytes+j.MP3Bytes,
		millis(j.Since)))
	if taken(err) {
		return false, fs.ErrExist
	}
	return stored, err
}

func (l *Ledger) one(ctx context.Context, query string, args ...any) (job.Job, error) {
	j, err := scanJob(l.db.read.QueryRowContext(ctx, query, args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return job.Job{}, fs.ErrNotExist
	}
	return j, err
}

func (l *Ledger) all(ctx context.Context, query string, args ...any) ([]job.Job, error) {
	rows, err := l.db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanJob)
}

func scanJob(scan func(...any) error) (j job.Job, err error) {
	var body []byte
	if err := scan(&body); err != nil {
		return job.Job{}, err
	}
	err = json.Unmarshal(body, &j)
	return j, err
}

// millis is a time as the schema has it: NULL for never.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}
