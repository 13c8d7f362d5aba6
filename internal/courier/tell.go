package courier

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/hook"
	"mp3converter/internal/job"
)

const (
	tellBatch   = 100
	tellTime    = 10 * time.Second // for one job: a few calls of the stores for each of its owner's hooks
	maxFailures = 3                // in a round: then a store is away, and the rest would only fail as well
)

// Tell stores what the webhooks of the owner are to be told of the end of the job, and has them visited soon. After nil the
// job owes nothing more, and whoever has it in hand may note that it is Told. An owner without webhooks costs one question.
func (s *Service) Tell(ctx context.Context, j job.Job) error {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	hooks, err := s.cfg.Hooks.Of(ctx, j.Owner)
	if err != nil {
		return fmt.Errorf("find the webhooks of %s: %w", j.ID, err)
	}
	for _, h := range hooks {
		if err := s.tell(ctx, h, j); err != nil {
			return fmt.Errorf("tell webhook %s of %s: %w", h.ID, j.ID, err)
		}
	}
	if len(hooks) > 0 {
		s.nudge()
	}
	return nil
}

// tell wakes the hook although the delivery is there already: whoever stored it may have died before.
func (s *Service) tell(ctx context.Context, h hook.Hook, j job.Job) error {
	d, ended := h.OfJob(time.Now(), j)
	if !ended || h.IsDisabled() || h.Misses(j.Ended) {
		return nil
	}
	if err := s.cfg.Deliveries.Insert(ctx, d); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := failpoint.At(failpoint.DeliveryStored); err != nil {
		return err
	}
	_, err := s.cfg.Hooks.Update(ctx, h.ID, func(h *hook.Hook) error { return h.Wake(time.Now()) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
		return err
	}
	return failpoint.At(failpoint.HookWoken)
}

// tellAll sees to the jobs that whoever ended them, or mailed about them, has not seen to.
func (s *Service) tellAll(ctx context.Context) {
	jobs, err := s.cfg.Jobs.Untold(ctx, time.Now(), tellBatch)
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.WarnContext(ctx, "webhooks: no list of jobs that are untold", "err", err)
	}
	failures := 0
	for _, j := range jobs {
		if ctx.Err() != nil || failures == maxFailures {
			return
		}
		if err := s.settle(ctx, j); err != nil && ctx.Err() == nil {
			failures++
			s.cfg.Log.WarnContext(ctx, "webhooks: not told", "job", j.ID, "err", err)
		}
	}
}

func (s *Service) settle(ctx context.Context, j job.Job) error {
	if err := s.Tell(ctx, j); err != nil {
		return err
	}
	_, err := s.cfg.Jobs.Update(ctx, j.ID, func(now *job.Job) error { return now.Told(j.Ended) })
	if errors.Is(err, job.ErrState) || errors.Is(err, fs.ErrNotExist) { // somebody was faster, or it was retried or deleted
		return nil
	}
	return err
}
