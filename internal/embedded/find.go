package embedded

import (
	"cmp"
	"context"
	"fmt"

	"mp3converter/internal/job"
)

// findQuery looks at the owner's jobs, the newest first, until it has found enough.
const findQuery = `SELECT body FROM jobs WHERE owner = ?1 AND visible AND id < ?2
	AND (?4 = '' OR instr(?4, ' ' || state || ' ') > 0)
	AND (?5 = '' OR json_extract(body, '$.profile') = ?5)
	AND (?6 = '' OR instr(lower(json_extract(body, '$.name')), lower(?6)) > 0)
	ORDER BY id DESC LIMIT ?3`

// Find is List of the jobs that pass the filter.
func (l *Ledger) Find(ctx context.Context, owner string, f job.Filter, before string, limit int) ([]job.Job, error) {
	states := ""
	for _, s := range f.States {
		states += " " + string(s) + " "
	}
	jobs, err := l.all(ctx, findQuery, owner, cmp.Or(before, beyond), max(0, limit), states, f.Profile, f.Name)
	if err != nil {
		return nil, fmt.Errorf("find jobs of %s: %w", owner, err)
	}
	return jobs, nil
}
