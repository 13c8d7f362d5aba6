// Package slots bounds how many do the same at once, where more would only get in each other's way. Whoever has to wait for
// a slot does so in turn, and for as long as others get through: that a server is slow is no reason to fail, that it answers
// nobody is.
package slots

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// Slots are so many; make them with New. They are safe for parallel use.
type Slots struct {
	free     *semaphore.Weighted
	patience time.Duration
	made     time.Time    // what passed counts from: time.Since is monotonic, and no clock that is set ends the waiting
	passed   atomic.Int64 // when a turn last ended well, a time.Duration
}

// ErrStuck is what ends the waiting when nobody gets through.
var ErrStuck = errors.New("waited in vain: those before get no answer")

// New returns n slots for which one waits for as long as a turn ends well at least once in each patience.
func New(n int64, patience time.Duration) *Slots {
	return &Slots{free: semaphore.NewWeighted(n), patience: patience, made: time.Now()}
}

// Take is followed by Give, unless it returns an error: ErrStuck, or why ctx has ended.
func (s *Slots) Take(ctx context.Context) error {
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
func (s *Slots) watch(ctx context.Context, giveUp context.CancelCauseFunc) {
	moved := time.Since(s.made)
	tick := time.NewTicker(max(s.patience/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			moved = max(moved, time.Duration(s.passed.Load()))
			if time.Since(s.made)-moved > s.patience {
				giveUp(ErrStuck)
				return
			}
		}
	}
}

// Give ends a turn; err is what came of it.
func (s *Slots) Give(err error) {
	if err == nil {
		s.passed.Store(int64(time.Since(s.made)))
	}
	s.free.Release(1)
}
