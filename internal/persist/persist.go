// Package persist applies to the ledger what must not get lost: again and again while the ledger is away, and a little
// beyond the end of a process that is told to stop. What is applied, and what an answer means, is for its callers.
package persist

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"mp3converter/internal/job"
)

const (
	firstWait = 50 * time.Millisecond
	lastWait  = 5 * time.Second

	// patience ends what nobody will mend. The lease has run out long before, and the job is done once more.
	patience = 24 * time.Hour

	// LastWords is how long a process that is told to stop goes on trying: as long as a store may stall, and less than the
	// 15 seconds that it has before a SIGKILL. After that a lease runs out.
	LastWords = 10 * time.Second
)

// Store is where the change is made: a ledger of jobs, or what else keeps records under a version.
type Store[T any] interface {
	Update(ctx context.Context, id string, change func(*T) error) (T, error)
}

// Update applies the change until the store answers or ctx is over. The change may have been made although an error came
// back, so it must be able to tell, or to be refused.
func Update[T any](ctx context.Context, store Store[T], id string, change func(*T) error) (T, error) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		record, err := store.Update(ctx, id, change)
		if err == nil || MovedOn(err) || StepAside(err) {
			return record, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return record, err
		}
	}
}

// Outlive returns a context that ends LastWords after ctx does. Until then it lasts longer than any outage: whoever has
// something to note can do nothing else without a ledger, and an outage must not count as an attempt.
func Outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(LastWords, cancel) })
	return longer, func() { stop(); cancel() }
}

// StepAside reports whether a claim was refused because the job needs nobody now: somebody else is at work on it, it is
// not due, its state asks for nothing, or it is gone.
func StepAside(err error) bool {
	return errors.Is(err, job.ErrBusy) || errors.Is(err, job.ErrNotYet) || errors.Is(err, job.ErrState) ||
		errors.Is(err, fs.ErrNotExist)
}

// MovedOn reports whether the ledger has answered that the job is no longer the caller's.
func MovedOn(err error) bool { return errors.Is(err, job.ErrLost) || errors.Is(err, fs.ErrNotExist) }
