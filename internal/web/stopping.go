package web

import "context"

type stoppingKey struct{}

// WithStopping has Stopping return done for requests with that context, or one made of it: what is closed when the process
// takes no more work.
func WithStopping(ctx context.Context, done <-chan struct{}) context.Context {
	return context.WithValue(ctx, stoppingKey{}, done)
}

// Stopping is closed when an answer that could go on for ever is to end, for the process is stopping and would wait for it.
// Where nobody says so it is nil, and never closed.
func Stopping(ctx context.Context) <-chan struct{} {
	done, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return done
}
