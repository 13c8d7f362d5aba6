package mongodb

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// bulk is how many inserts of chunks may be under way at once, and how many fetches of chunks. It keeps any disk busy: 16
// inserts are 12 MB, and each batch of a stream is a megabyte. More would only wait within the server, past their deadlines,
// with copies in memory and connections that the ledger needs.
const bulk = 16

// slots bound how many commands of a kind are under way at once. Whoever has to wait for one does so in turn, and for as
// long as others get through: that the server is slow is no reason to fail, that it answers nobody is.
type slots struct {
	free     *semaphore.Weighted
	patience time.Duration
	passed   atomic.Int64 // when a command last ended well, in nanoseconds since 1970
}

var errStuck = errors.New("waited in vain: the commands before get no answer")

func newSlots(n int64, patience time.Duration) *slots {
	return &slots{free: semaphore.NewWeighted(n), patience: patience}
}

// take is followed by give, unless it returns an error: errStuck, or why ctx has ended.
func (s *slots) take(ctx context.Context) error {
	if s.free.TryAcquire(1) {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { s.watch(ctx, cancel) })
	err := s.free.Acquire(ctx, 1)
	if err != nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	watch.Wait()
	return err
}

// watch ends the waiting when nobody gets through.
func (s *slots) watch(ctx context.Context, giveUp context.CancelCauseFunc) {
	moved := time.Now()
	tick := time.NewTicker(max(s.patience/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if passed := time.Unix(0, s.passed.Load()); passed.After(moved) {
				moved = passed
			}
			if now.Sub(moved) > s.patience {
				giveUp(errStuck)
				return
			}
		}
	}
}

// give ends a turn; err is what came of it.
func (s *slots) give(err error) {
	if err == nil {
		s.passed.Store(time.Now().UnixNano())
	}
	s.free.Release(1)
}
