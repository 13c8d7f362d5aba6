package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"time"

	"mp3converter/internal/job"
	"mp3converter/internal/trail"
	"mp3converter/internal/web"
)

// A user's quota is kept by the ledger alone, whatever gateway asks: an upload stores what it may come to, then reads what
// all of the user's jobs take, itself among them, and takes itself back if that is too much. Of two that find the same room
// whoever stores last sees the other, so together they are never over. Both may see each other and step back: those try
// again, each after a time of its own.

// errCrowded is in the chain of a refusal that uploads under way are the cause of.
var errCrowded = errors.New("uploads under way have the rest")

const (
	crowdTries = 6
	crowdPause = 20 * time.Millisecond // twice as long after each try
	roomAfter  = 30 * time.Second      // a hint, for clients that were refused for what will pass
)

// room is how many bytes an upload is certain to come to, and how many it may. None are asked for a job that is there.
type room struct{ least, most int64 }

// roomFor is what the header tells of the file. The form around it is a part of its length.
func (s *Service) roomFor(r *http.Request) room {
	if r.ContentLength < 0 {
		return room{1, s.cfg.MaxUpload}
	}
	return room{max(1, r.ContentLength-maxFormBytes), max(1, min(r.ContentLength, s.cfg.MaxUpload))}
}

// announce names an upload in the ledger, so that what a dying gateway leaves of it can be found, and returns its job. Its
// VideoBytes are what it may come to: no more than was asked for, and no more than the owner's quota has.
func (s *Service) announce(ctx context.Context, owner string, want room) (job.Job, error) {
	return s.announceAs(ctx, func(now time.Time) job.Job { return job.New(now, s.cfg.Rules, job.NewID(now), owner) }, want)
}

// announceAs is announce of a job that begin makes, anew at each try.
func (s *Service) announceAs(ctx context.Context, begin func(now time.Time) job.Job, want room) (job.Job, error) {
	for try := 1; ; try++ {
		j, err := s.inTurn(ctx, begin, want)
		if !errors.Is(err, errCrowded) || try == crowdTries {
			return j, err
		}
		select {
		case <-ctx.Done():
			return job.Job{}, err
		case <-time.After(rand.N(crowdPause << try)): //nolint:gosec // so that rivals fall out of step
		}
	}
}

// inTurn reserves when it is the upload's turn: whoever pauses before the next try keeps nobody waiting.
func (s *Service) inTurn(ctx context.Context, begin func(now time.Time) job.Job, want room) (j job.Job, err error) {
	if err := s.announcing.Take(ctx); err != nil {
		return job.Job{}, fmt.Errorf("announce the upload: %w", err)
	}
	defer func() { s.announcing.Give(unanswered(err)) }()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return s.reserve(ctx, begin(time.Now()), want)
}

// unanswered is err unless it is the ledger's answer: that the user has no room, or the upload already.
func unanswered(err error) error {
	if _, refused := errors.AsType[*web.Refusal](err); refused || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (s *Service) reserve(ctx context.Context, j job.Job, want room) (job.Job, error) {
	j.Follow(trail.Of(ctx))
	if err := j.Reserve(want.most); err != nil {
		return job.Job{}, err
	}
	err := s.cfg.Ledger.Insert(ctx, j)
	if errors.Is(err, fs.ErrExist) && j.Keyed() {
		j, err = s.unadmitted(ctx, j)
	}
	if err != nil {
		return job.Job{}, fmt.Errorf("announce the upload: %w", err)
	}
	if s.cfg.QuotaBytes == 0 && s.cfg.QuotaJobs == 0 && j.Arrival == nil {
		return j, nil
	}
	fit, err := s.fit(ctx, j, want)
	if err == nil && j.Keyed() {
		fit, err = s.admitKeyed(ctx, j.ID)
	}
	switch {
	case err != nil && j.Keyed():
		s.withdraw(ctx, j.ID)
	case err != nil:
		s.retract(ctx, j.ID)
	}
	return fit, err
}

// fit judges a reservation by what the ledger says of its owner, and makes it smaller if that will do.
func (s *Service) fit(ctx context.Context, j job.Job, want room) (job.Job, error) {
	u, err := s.cfg.Ledger.Usage(ctx, j.Owner)
	if err != nil {
		return job.Job{}, err
	}
	if limit := s.cfg.QuotaJobs; limit > 0 && u.Waiting+u.Uploads > limit {
		return job.Job{}, s.noPlace(u.Waiting < limit)
	}
	if j.Arrival != nil && u.Uploads > s.cfg.MaxUnfinished {
		return job.Job{}, s.tooManyUnfinished()
	}
	if s.cfg.QuotaBytes == 0 || want.most == 0 {
		return j, nil
	}
	left := s.cfg.QuotaBytes - u.Stored - (u.Reserved - j.VideoBytes)
	switch {
	case left >= want.most:
		return j, nil
	case left < want.least:
		return job.Job{}, s.noRoom(left, s.cfg.QuotaBytes-u.Stored >= want.least)
	}
	j, err = s.cfg.Ledger.Update(ctx, j.ID, func(j *job.Job) error { return j.Reserve(left) })
	if err != nil {
		return job.Job{}, fmt.Errorf("reserve what is left: %w", err)
	}
	return j, nil
}

// noRoom refuses a file. RFC 9110, 15.5.14, has 413 for content that a server is not willing to process, with Retry-After if
// that will pass. RFC 4918's 507 would make it a failure of ours, which clients repeat and operators are woken for.
func (s *Service) noRoom(left int64, crowded bool) error {
	advice := "delete jobs that you no longer need"
	if crowded {
		advice = "wait for your other uploads to end"
	}
	return refuse(http.StatusRequestEntityTooLarge, crowded, "the file does not fit into your quota: of %d bytes %d are left, %s",
		s.cfg.QuotaBytes, max(0, left), advice)
}

// noPlace refuses one more job: with 429 of RFC 6585, for it passes without the user doing anything.
func (s *Service) noPlace(crowded bool) error {
	return refuse(http.StatusTooManyRequests, crowded, "you have as many jobs waiting as you may, %d: come back when some are converted, or delete some",
		s.cfg.QuotaJobs)
}

// tooManyUnfinished refuses one more upload that nobody may ever finish.
func (s *Service) tooManyUnfinished() error {
	return refuse(http.StatusTooManyRequests, false, "you have as many unfinished uploads as you may, %d: finish or delete some", s.cfg.MaxUnfinished)
}

// refuse sends a Retry-After with what passes.
func refuse(code int, crowded bool, format string, args ...any) error {
	refusal := &web.Refusal{Code: code, Text: fmt.Sprintf(format, args...)}
	if crowded || code == http.StatusTooManyRequests {
		refusal.RetryAfter = roomAfter
	}
	if crowded {
		return fmt.Errorf("%w: %w", errCrowded, refusal)
	}
	return refusal
}

// retract removes a reservation of which nothing was stored. Where that fails the sweeper does it.
func (s *Service) retract(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	if err := s.cfg.Ledger.Remove(ctx, id); err != nil {
		web.Note(ctx, "retract", err)
	}
}
