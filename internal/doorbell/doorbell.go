// Package doorbell rings for jobs: it publishes the message and notes in the ledger that it was taken. How a message
// travels is the queue's affair, what a job needs is package job's.
package doorbell

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/trail"
)

// Ledger is where it is noted that a bell was rung.
type Ledger interface {
	Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error)
}

// Doorbell rings. Publish must return nil only when the message is safe with the broker.
type Doorbell struct {
	Ledger  Ledger
	Publish func(ctx context.Context, to job.Bell, m job.Message) error
	Rules   job.Rules
}

var spanNames = map[job.Bell]string{job.ForConverter: "ring video", job.ForMailer: "ring mp3"}

// Ring rings for j, as it was read from the ledger, if anybody is to look at it. An error is no loss: the ledger holds
// when the sweeper has to ring again.
func (d Doorbell) Ring(ctx context.Context, j job.Job) error {
	to := j.Bell()
	if to == "" {
		return nil
	}
	ctx, span := trail.Start(trail.Follow(ctx, j), trail.Producer, spanNames[to])
	m := j.Message()
	m.Trail = span.Trail(m.Trail)
	err := d.Publish(ctx, to, m)
	span.End(err)
	if err != nil {
		return fmt.Errorf("ring %s for %s: %w", to, j.ID, err)
	}
	if err := failpoint.At(failpoint.Confirmed); err != nil {
		return err
	}
	_, err = d.Ledger.Update(trail.Quiet(ctx), j.ID, func(now *job.Job) error {
		return now.Rung(time.Now(), d.Rules, j.State)
	})
	// Whoever was rung may have been faster than we are: then the job has moved on, or is gone, and all is well.
	if err != nil && !errors.Is(err, job.ErrState) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("note the ring for %s: %w", j.ID, err)
	}
	return nil
}
