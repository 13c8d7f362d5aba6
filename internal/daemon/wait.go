package daemon

import (
	"context"
	"math/rand/v2"
	"time"
)

// WaitFor tries until try returns nil or ctx ends, with growing pauses, and says in the log what it waits for. With it a
// service starts in any order with what it needs.
func (p *Process) WaitFor(ctx context.Context, what string, try func(ctx context.Context) error) error {
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Minute)
		err := try(attempt)
		cancel()
		if err == nil {
			return nil
		}
		p.Log.Warn("waiting", "for", what, "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause + rand.N(pause/4)): //nolint:gosec // jitter
		}
	}
}

// watch says in the log when the service becomes ready and when something is away, whether or not anybody probes.
func (p *Process) watch(ctx context.Context) error {
	const interval = 3 * time.Second
	for said := ""; ; {
		health := p.ready.look(ctx)
		if now := health.String(); now != said {
			said = now
			p.say(ctx, health)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(interval):
		}
	}
}

func (p *Process) say(ctx context.Context, h health) {
	switch {
	case !h.ready():
		p.Log.WarnContext(ctx, "not ready", "missing", h.missing())
	case len(h) > 0:
		p.Log.WarnContext(ctx, "ready, coping without", "missing", h.missing())
	default:
		p.Log.InfoContext(ctx, "ready")
	}
}
