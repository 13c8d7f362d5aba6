package rabbit

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	maxPause   = 30 * time.Second // between tries of a message
	maxRedial  = 10 * time.Second // between tries to connect, which cost the broker less
	moment     = time.Second      // how long a Publish waits for a connection that nothing is known against yet
	closeLimit = 2 * time.Second
)

// link is something that is kept up: what stands at the moment, or why nothing does.
type link[T any] struct {
	name string // of the connection, in logs and at the broker

	mu      sync.Mutex
	up      bool
	current T
	err     error         // while not up
	hopeful bool          // not up, but for no longer than a first attempt: worth a short wait
	changed chan struct{} // closed, and replaced, at every change
}

var errConnecting = errors.New("connecting")

func newLink[T any](name string) *link[T] {
	return &link[T]{name: name, err: errConnecting, hopeful: true, changed: make(chan struct{})}
}

// raise says that v stands.
func (l *link[T]) raise(v T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up, l.current, l.err = true, v, nil
	l.change()
}

// lower says that nothing stands, and why. It reports whether anything stood.
func (l *link[T]) lower(err error) (stood bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stood = l.up
	var none T
	l.up, l.current, l.err, l.hopeful = false, none, err, stood && !errors.Is(err, errClosed)
	l.change()
	return stood
}

func (l *link[T]) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// state returns what stands, or why nothing does.
func (l *link[T]) state() (T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current, l.err
}

// wait returns what stands, having waited a little if that promises anything.
func (l *link[T]) wait(ctx context.Context) (T, error) {
	short, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	for {
		l.mu.Lock()
		current, err, hopeful, changed := l.current, l.err, l.hopeful, l.changed
		l.mu.Unlock()
		if err == nil || !hopeful {
			return current, err
		}
		select {
		case <-changed:
		case <-short.Done():
			return current, err
		}
	}
}

// keep runs one session after another until ctx is over. Serve sets a session up, raises the link and returns when the
// session is of no more use, or when ctx is over and everything it started has ended.
func keep[T any](ctx context.Context, b *Broker, l *link[T], serve func(context.Context, *session) error) {
	for failures := 1; ; failures++ {
		err := b.session(ctx, l.name, serve)
		if ctx.Err() != nil {
			l.lower(errClosed)
			return
		}
		if l.lower(err) {
			failures = 1
		}
		pause := backoff(b.cfg.Pause, maxRedial, failures)
		b.log.WarnContext(ctx, "waiting for rabbitmq", "connection", l.name, "err", err, "again_in", pause)
		sleep(ctx, pause)
	}
}

// session opens a session, has it served and closes it.
func (b *Broker) session(ctx context.Context, name string, serve func(context.Context, *session) error) error {
	if err := b.cfg.check(); err != nil {
		return err
	}
	s, err := dial(ctx, b.cfg, name)
	if err != nil {
		return err
	}
	defer s.close()
	return serve(ctx, s)
}

// backoff is the pause after the n-th failure in a row, n from 1: twice as long each time, up to longest. Up to half of it
// is taken off at random, so that those who failed together do not come back together.
func backoff(base, longest time.Duration, n int) time.Duration {
	for ; n > 1 && base < longest; n-- {
		base *= 2
	}
	base = min(base, longest)
	return base - rand.N(base/2+1) //nolint:gosec // spreads load, guards nothing
}

// sleep returns after d, or when ctx is over.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
