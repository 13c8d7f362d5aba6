package converter

import (
	"context"
	"time"

	"mp3converter/internal/job"
)

// How long the ledger is asked again when it is away. What an attempt came to is worth the restart of a database, and a
// few seconds when we are told to stop; after that the lease runs out and the attempt counts as one more crash.
const (
	firstWait     = 50 * time.Millisecond
	lastWait      = 5 * time.Second
	claimPatience = 5 * time.Second
	patience      = 3 * time.Minute
	lastWords     = 5 * time.Second
)

// note applies a change to the attempt's job that must not get lost.
func (a *attempt) note(ctx context.Context, change func(*job.Job) error) (job.Job, error) {
	ctx, cancel := outlive(ctx)
	defer cancel()
	return a.update(ctx, a.job.ID, change)
}

// update applies a change, again and again while the ledger is away, until ctx is over. The change may have been made
// although an error came back, so it must be able to tell, or to be refused.
func (s *Service) update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		j, err := s.cfg.Ledger.Update(ctx, id, change)
		if err == nil || movedOn(err) || stepAside(err) {
			return j, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return j, err
		}
	}
}

// outlive returns a context that ends lastWords after ctx does, at the latest after our patience.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })
	return longer, func() { stop(); cancel() }
}
