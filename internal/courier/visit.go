package courier

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/hook"
	"mp3converter/internal/persist"
)

// What can come of a try: the label of the metric and the word in the log.
const (
	delivered = "delivered"
	refused   = "refused" // by an answer that is no 2xx
	away      = "away"    // no answer, or one that says so
)

const (
	visitBatch = 20
	// A courier begins nothing more after this part of a lease, and breaks off what it has begun before this part is left of
	// it: for noting how it went before somebody else may come.
	leaseShare  = 3
	leaseMargin = 6
)

// ever is later than anything is due.
var ever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// visitAll has the hooks that are due visited, as far as there are places for their owners. Whoever leaves one nudges.
func (s *Service) visitAll(ctx context.Context, work *sync.WaitGroup) {
	hooks, err := s.cfg.Hooks.Due(ctx, time.Now(), visitBatch)
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.WarnContext(ctx, "webhooks: no list of what is due", "err", err)
	}
	for _, h := range hooks {
		if !s.places.take(h.Owner) {
			continue
		}
		claimed, err := s.cfg.Hooks.Update(ctx, h.ID, func(h *hook.Hook) error { return h.Claim(time.Now(), s.cfg.Rules) })
		if err != nil {
			s.places.leave(h.Owner)
			if !persist.StepAside(err) && ctx.Err() == nil {
				s.cfg.Log.WarnContext(ctx, "webhooks: not claimed", "webhook", h.ID, "err", err)
			}
			continue
		}
		work.Go(func() {
			s.visit(ctx, claimed)
			s.places.leave(h.Owner)
			s.nudge()
		})
	}
}

// visit makes the hook's deliveries that are due, one after the other, while the endpoint is there.
func (s *Service) visit(ctx context.Context, h hook.Hook) {
	v := hook.Visit{Number: h.Visits, Wakes: h.Wakes}
	begun := time.Now()
	worthwhile := func() bool {
		return !v.Away && !v.Gone && ctx.Err() == nil && time.Since(begun) < s.cfg.Rules.Lease/leaseShare
	}
	var err error
	for more := true; more && err == nil && worthwhile(); {
		var due []hook.Delivery
		due, err = s.cfg.Deliveries.Due(ctx, h.ID, time.Now(), visitBatch)
		more = len(due) > 0
		for _, d := range due {
			if err == nil && worthwhile() {
				err = s.deliver(ctx, h, d, &v)
			}
		}
	}
	s.leave(ctx, h, v, err)
}

// leave gives the hook back. One that cannot be is visited again when the lease has run out.
func (s *Service) leave(ctx context.Context, h hook.Hook, v hook.Visit, err error) {
	longer, cancel := persist.Outlive(ctx)
	defer cancel()
	v.Next = time.Now().Add(s.cfg.Rules.Steps[0]) // if nobody knows
	if err == nil {
		var next []hook.Delivery
		if next, err = s.cfg.Deliveries.Due(longer, h.ID, ever, 1); err == nil {
			v.Next = time.Time{}
			if len(next) > 0 {
				v.Next = next[0].DueAt
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.WarnContext(ctx, "webhooks: visit broken off", "webhook", h.ID, "err", err)
	}
	_, err = persist.Update(longer, s.cfg.Hooks, h.ID, func(h *hook.Hook) error { return h.Leave(time.Now(), s.cfg.Rules, v) })
	if err != nil && !persist.MovedOn(err) && ctx.Err() == nil {
		s.cfg.Log.WarnContext(ctx, "webhooks: not left", "webhook", h.ID, "err", err)
	}
}

// deliver makes one try and notes what came of it. What a process that is told to stop has begun it ends.
func (s *Service) deliver(ctx context.Context, h hook.Hook, d hook.Delivery, v *hook.Visit) error {
	ctx, cancel := persist.Outlive(ctx)
	defer cancel()
	if h.IsDisabled() && d.Event != hook.Ping {
		return s.note(ctx, d, func(d *hook.Delivery) error { return d.Drop(time.Now(), "the webhook is disabled") })
	}
	if err := failpoint.At(failpoint.HookClaimed); err != nil {
		return err
	}
	a, took, err := s.send(ctx, h, d)
	if err != nil {
		return err // untried
	}
	v.Away, v.Gone = a.Away(), a.Gone()
	v.Answered = v.Answered || !v.Away
	v.Proven = v.Proven || a.OK() && d.Event == hook.Ping
	if a.OK() {
		if err := failpoint.At(failpoint.DeliveryTaken); err != nil {
			return err
		}
	}
	s.report(ctx, h, d, a, took)
	return s.note(ctx, d, func(now *hook.Delivery) error { return now.Tried(time.Now(), s.cfg.Rules, d.Attempts, a) })
}

// send tries once. An error is that nobody knows whether it would have gone well: we were cut off, or have slept past the lease's time
// for it and sent nothing.
func (s *Service) send(ctx context.Context, h hook.Hook, d hook.Delivery) (a hook.Answer, took time.Duration, err error) {
	bounded, cancel := context.WithDeadline(ctx, h.LeaseUntil.Add(-s.cfg.Rules.Lease/leaseMargin))
	defer cancel()
	if err := bounded.Err(); err != nil {
		return a, 0, err
	}
	begun := time.Now()
	status, err := s.cfg.Post(bounded, h.URL, hook.Header(h.Secret, d.ID, begun, d.Body), d.Body)
	took = time.Since(begun)
	if ctx.Err() != nil {
		return a, took, ctx.Err()
	}
	a.Status = status
	if err != nil {
		a.Error = err.Error()
	}
	return a, took, nil
}

// note stores what became of a delivery: again and again, for one that was taken and not noted is made once more.
func (s *Service) note(ctx context.Context, d hook.Delivery, change func(*hook.Delivery) error) error {
	_, err := persist.Update(ctx, s.cfg.Deliveries, d.ID, change)
	if persist.MovedOn(err) || persist.StepAside(err) {
		return nil
	}
	return err
}

// report writes the one line of the log and the metric. The URL may hold a secret of the receiver's.
func (s *Service) report(ctx context.Context, h hook.Hook, d hook.Delivery, a hook.Answer, took time.Duration) {
	level, result := slog.LevelInfo, delivered
	switch {
	case a.OK():
	case a.Away():
		level, result = slog.LevelWarn, away
	default:
		level, result = slog.LevelWarn, refused
	}
	s.took.WithLabelValues(result).Observe(took.Seconds())
	s.cfg.Log.LogAttrs(ctx, level, "webhook",
		slog.String("webhook", h.ID), slog.String("delivery", d.ID), slog.String("event", string(d.Event)), slog.String("job", d.Job),
		slog.String("result", result), slog.Int("status", a.Status), slog.String("why", a.Error), slog.Int("attempt", d.Attempts+1),
		slog.Duration("took", took))
}
