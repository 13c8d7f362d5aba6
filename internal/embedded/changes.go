package embedded

import (
	"context"
	"fmt"
	"time"

	"mp3converter/internal/job"
)

const changesQuery = `SELECT body, changed FROM jobs WHERE owner = ?1 AND changed >= ?2 AND state != 'uploading' ORDER BY changed LIMIT ?3`

// Changes returns the owner's jobs, in any state but Uploading, that were stored at since or later, the longest ago first, at most
// limit.
func (l *Ledger) Changes(ctx context.Context, owner string, since time.Time, limit int) ([]job.Change, error) {
	rows, err := l.db.read.QueryContext(ctx, changesQuery, owner, since.UnixMilli(), max(0, limit))
	var changes []job.Change
	if err == nil {
		changes, err = collect(rows, func(scan func(...any) error) (c job.Change, err error) {
			var at int64
			c.Job, err = scanBody[job.Job](func(body ...any) error { return scan(append(body, &at)...) })
			c.At = time.UnixMilli(at).UTC()
			return c, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("list what has changed of %s: %w", owner, err)
	}
	return changes, nil
}
