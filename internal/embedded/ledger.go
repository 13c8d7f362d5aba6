package embedded

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"mp3converter/internal/job"
)

// Ledger keeps jobs, on the terms of porttest.Ledger.
type Ledger struct{ *records[job.Job] }

// Jobs returns the ledger of the database.
func (db *DB) Jobs() *Ledger {
	return &Ledger{&records[job.Job]{
		db: db, name: "job", get: getQuery, insert: insertStatement, update: updateStatement,
		columns: func(j job.Job) []any {
			return []any{
				j.ID, j.Version, j.Owner, j.Key, j.Visible(), millis(j.RingAt), millis(j.CleanAt), millis(j.TellAt), j.State,
				j.VideoBytes + j.MP3Bytes, millis(j.Since), time.Now().UnixMilli(),
			}
		},
		key: func(j *job.Job) (*string, *int64) { return &j.ID, &j.Version },
	}}
}

// All that is asked of the jobs: each is answered from an index, however many there are.
const (
	getQuery = `SELECT body FROM jobs WHERE id = ?`

	keyQuery = `SELECT body FROM jobs WHERE key = ?`

	insertStatement = `INSERT INTO jobs (id, version, owner, key, visible, ring_at, clean_at, tell_at, state, bytes, since,
		changed, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

	updateStatement = `UPDATE jobs SET version = ?2, owner = ?3, key = ?4, visible = ?5, ring_at = ?6, clean_at = ?7, tell_at = ?8,
		state = ?9, bytes = ?10, since = ?11, changed = ?12, body = ?13 WHERE id = ?1 AND version = ?2 - 1`

	removeStatement = `DELETE FROM jobs WHERE id = ?`

	mp3Query = `SELECT body FROM jobs WHERE json_extract(body, '$.mp3') = ?2 AND owner = ?1 AND visible LIMIT 1`

	allMP3Query = `SELECT body FROM jobs WHERE json_extract(body, '$.mp3') = ?1 AND visible LIMIT 100`

	listQuery = `SELECT body FROM jobs WHERE owner = ?1 AND visible AND id < ?2 ORDER BY id DESC LIMIT ?3`

	inStateQuery = `SELECT body FROM jobs WHERE state = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3`

	oldestInQuery = `SELECT body FROM jobs WHERE state = ?1 ORDER BY id LIMIT ?2`

	usageQuery = `SELECT state, count(*), sum(bytes) FROM jobs WHERE owner = ?1 GROUP BY state`

	untoldQuery = `SELECT body FROM jobs WHERE tell_at <= ?1 ORDER BY tell_at LIMIT ?2`

	undatedQuery = `SELECT body FROM jobs INDEXED BY jobs_undated WHERE state IN ('done', 'failed') AND json_extract(body, '$.dated') IS NULL AND id > '' LIMIT ?1`

	unfinishedQuery = `SELECT body FROM jobs WHERE ring_at > 0
		UNION ALL SELECT body FROM jobs WHERE tell_at > 0 AND ring_at IS NULL
		UNION ALL SELECT body FROM jobs WHERE state = 'uploading' AND ring_at IS NULL AND tell_at IS NULL`

	dueQuery = `SELECT body FROM (
		SELECT id, body, min(due) AS due FROM (
			SELECT * FROM (SELECT id, body, ring_at  AS due FROM jobs WHERE ring_at  <= ?1 ORDER BY ring_at  LIMIT ?2)
			UNION ALL
			SELECT * FROM (SELECT id, body, clean_at AS due FROM jobs WHERE clean_at <= ?1 ORDER BY clean_at LIMIT ?2)
		) GROUP BY id
	) ORDER BY due, id`
)

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
	return l.records.Update(ctx, id, func(j *job.Job) error {
		j.Tried = slices.Clone(j.Tried) // change may alter it in place
		return change(j)
	})
}

// Remove forgets the job. Absence is nil.
func (l *Ledger) Remove(ctx context.Context, id string) error {
	if _, err := l.db.write.ExecContext(ctx, removeStatement, id); err != nil {
		return fmt.Errorf("remove job %.40q: %w", id, err)
	}
	return nil
}

// beyond is above all ids: a page far back costs no more than the first.
const beyond = "\U0010FFFF"

// List returns the owner's visible jobs, newest first, at most limit, only ids below before unless that is "".
func (l *Ledger) List(ctx context.Context, owner, before string, limit int) ([]job.Job, error) {
	jobs, err := l.all(ctx, listQuery, owner, cmp.Or(before, beyond), max(0, limit))
	if err != nil {
		return nil, fmt.Errorf("list jobs of %s: %w", owner, err)
	}
	return jobs, nil
}

// InState returns jobs in one state, of any owner, newest first, at most limit, only ids below before unless that is "".
func (l *Ledger) InState(ctx context.Context, state job.State, before string, limit int) ([]job.Job, error) {
	jobs, err := l.all(ctx, inStateQuery, state, cmp.Or(before, beyond), max(0, limit))
	if err != nil {
		return nil, fmt.Errorf("list %s jobs: %w", state, err)
	}
	return jobs, nil
}

// Oldest returns jobs in one state, of any owner, oldest first, at most limit.
func (l *Ledger) Oldest(ctx context.Context, state job.State, limit int) ([]job.Job, error) {
	jobs, err := l.all(ctx, oldestInQuery, state, max(0, limit))
	if err != nil {
		return nil, fmt.Errorf("find the oldest %s jobs: %w", state, err)
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

// Untold returns the jobs whose owners' webhooks somebody must see to by now, at most limit, the longest due first.
func (l *Ledger) Untold(ctx context.Context, now time.Time, limit int) ([]job.Job, error) {
	jobs, err := l.all(ctx, untoldQuery, now.UnixMilli(), max(0, limit))
	if err != nil {
		return nil, fmt.Errorf("list jobs that are untold: %w", err)
	}
	return jobs, nil
}

// Undated returns jobs that an older version has ended, which have no dates yet, at most limit.
func (l *Ledger) Undated(ctx context.Context, limit int) ([]job.Job, error) {
	jobs, err := l.all(ctx, undatedQuery, max(0, limit))
	if err != nil {
		return nil, fmt.Errorf("list jobs without dates: %w", err)
	}
	return jobs, nil
}

// Unfinished returns the jobs that somebody may have been at work on, or was to see to: those of a process that has died.
func (l *Ledger) Unfinished(ctx context.Context) ([]job.Job, error) {
	jobs, err := l.all(ctx, unfinishedQuery)
	if err != nil {
		return nil, fmt.Errorf("list unfinished jobs: %w", err)
	}
	return jobs, nil
}

func (l *Ledger) one(ctx context.Context, query string, args ...any) (job.Job, error) {
	j, err := scanBody[job.Job](l.db.read.QueryRowContext(ctx, query, args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return job.Job{}, fs.ErrNotExist
	}
	return j, err
}

// millis is a time as the schema has it: NULL for never.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}
