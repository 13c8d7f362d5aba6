package gateway

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"mp3converter/internal/job"
)

// datesEvery is how often jobs are looked for that an older version has ended. There are some after an update, and while
// processes of both versions run, and then none any more.
const datesEvery = time.Hour

// dater gives them the dates until which their files are kept. They are looked for by what they lack, so none is missed,
// however many gateways look, and in whatever order.
type dater struct {
	ledger Rounds
	rules  job.Rules
	next   atomic.Int64 // when to look, in nanoseconds since 1970
}

// date sees to some of them, and reports whether there may be more.
func (d *dater) date(ctx context.Context, now time.Time) (more bool, err error) {
	if now.UnixNano() < d.next.Load() {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cleanTime)
	defer cancel()
	jobs, err := d.ledger.Undated(ctx, sweepBatch)
	if err != nil {
		return false, fmt.Errorf("list jobs without dates: %w", err)
	}
	for _, j := range jobs {
		_, err := d.ledger.Update(ctx, j.ID, func(j *job.Job) error { return j.Date(time.Now(), d.rules) })
		if settled(err) != nil {
			return false, fmt.Errorf("date job %s: %w", j.ID, err)
		}
	}
	if len(jobs) < sweepBatch {
		d.next.Store(now.Add(datesEvery).UnixNano())
	}
	return len(jobs) == sweepBatch, nil
}
