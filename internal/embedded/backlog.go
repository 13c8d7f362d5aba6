package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"mp3converter/internal/job"
)

// What Backlog asks: each is answered from an index alone.
const (
	countQuery  = `SELECT count(*) FROM jobs WHERE state = ?`
	oldestQuery = `SELECT min(since) FROM jobs WHERE since IS NOT NULL`
)

// Backlog returns what there is to do.
func (l *Ledger) Backlog(ctx context.Context) (job.Backlog, error) {
	b := job.Backlog{Jobs: map[job.State]int{}}
	for _, state := range job.Waiting {
		var n int
		if err := l.db.read.QueryRowContext(ctx, countQuery, state).Scan(&n); err != nil {
			return job.Backlog{}, fmt.Errorf("count %s jobs: %w", state, err)
		}
		b.Jobs[state] = n
	}
	var oldest sql.NullInt64
	if err := l.db.read.QueryRowContext(ctx, oldestQuery).Scan(&oldest); err != nil {
		return job.Backlog{}, fmt.Errorf("find the oldest job: %w", err)
	}
	if oldest.Valid {
		b.Oldest = time.UnixMilli(oldest.Int64).UTC()
	}
	return b, nil
}
