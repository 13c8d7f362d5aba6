package converter

import (
	"context"
	"sync/atomic"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/persist"
	"mp3converter/internal/trail"
)

// lease keeps a running attempt alive in the ledger, and its progress up to date.
type lease struct {
	attempt *attempt
	percent atomic.Int64
	end     context.CancelFunc
	ended   chan struct{}
}

// progressEvery is how often progress is noted at most: often enough for a progress bar, seldom enough for the ledger.
const progressEvery = time.Second

// keep starts to renew the attempt's lease until stop is called. When the ledger says that the job is no longer ours it
// calls lose. When the ledger says nothing the work goes on: if the lease runs out unseen, the commit will tell.
func (a *attempt) keep(ctx context.Context, lose context.CancelCauseFunc) *lease {
	ctx, end := context.WithCancel(trail.Quiet(ctx))
	l := &lease{attempt: a, end: end, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		l.renewUntil(ctx, lose)
	}()
	return l
}

// stop waits until nothing is written any more.
func (l *lease) stop() {
	l.end()
	<-l.ended
}

func (l *lease) progress(percent int) { l.percent.Store(int64(percent)) }

func (l *lease) renewUntil(ctx context.Context, lose context.CancelCauseFunc) {
	every := l.attempt.cfg.Rules.Lease / 3
	tick := min(every, progressEvery)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	renewed, noted := l.attempt.start, int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		percent := l.percent.Load()
		if percent == noted && time.Since(renewed) < every-tick/2 {
			continue
		}
		switch j, err := l.renew(ctx, every, int(percent)); {
		case err == nil:
			renewed, noted = time.Now(), percent
		case persist.MovedOn(err):
			l.attempt.metrics.lost(l.attempt.job, j)
			lose(job.ErrLost)
			return
		default:
			l.attempt.cfg.Log.DebugContext(ctx, "conversion: lease not renewed", "job", l.attempt.job.ID, "err", err)
		}
	}
}

// renew gives the ledger no longer than until the next renewal is due.
func (l *lease) renew(ctx context.Context, patience time.Duration, percent int) (job.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a := l.attempt
	return a.cfg.Ledger.Update(ctx, a.job.ID, func(j *job.Job) error {
		return j.Renew(time.Now(), a.cfg.Rules, a.job.Attempt, percent)
	})
}
