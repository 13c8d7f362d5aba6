package notification

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/persist"
	"mp3converter/internal/stage"
)

// What can come of a mail: the label of the metric and the word in the log.
const (
	sent     = "sent"
	refused  = "refused"  // for good
	later    = "later"    // the mail server, or the way to it, is not ready
	expired  = "expired"  // it was not ready for so long that we gave up
	released = "released" // we are told to stop
	lost     = "lost"     // the job was deleted or retried meanwhile
)

// leaseMargin is the part of a lease that is left when sending is broken off: for noting how it went before somebody else
// may claim the mail and send it too.
const leaseMargin = 6

// errLease is why a sending is broken off that takes nearly as long as the lease.
var errLease = errors.New("the lease runs out")

// deliver sends the mail of a claimed job and notes what came of it.
func (s *Service) deliver(ctx context.Context, j job.Job) error {
	start := time.Now()
	told := s.tell(ctx, j)
	sendErr := s.send(ctx, j)
	if sendErr == nil {
		if err := failpoint.At(failpoint.MailTaken); err != nil {
			return err
		}
	}
	result, change := s.verdict(ctx, j.MailAttempt, sendErr)
	noted, err := s.note(ctx, j.ID, func(now *job.Job) error {
		err := change(now)
		if err == nil && told {
			_ = now.Told(j.Ended) // else somebody else has noted it
		}
		return err
	})
	switch {
	case errors.Is(err, job.ErrLost), errors.Is(err, fs.ErrNotExist):
		// By a note of our own whose answer we did not get, or by the owner.
		if noted.Mail == job.MailPending || noted.MailAttempt != j.MailAttempt {
			result = lost
		}
	case err != nil:
		s.report(ctx, j, result, start, errors.Join(sendErr, err))
		return fmt.Errorf("note that the mail of %s is %s: %w", j.ID, result, err)
	case result == later && noted.Mail == job.MailFailed:
		result = expired
	}
	s.report(ctx, j, result, start, sendErr)
	if result == released {
		return fmt.Errorf("send the mail of %s: %w", j.ID, context.Cause(ctx)) // the queue gives it to somebody else at once
	}
	return nil
}

// tell sees to the owner's webhooks before the mail is sent, which may take long, and reports whether that is done: then it
// is noted with the mail.
func (s *Service) tell(ctx context.Context, j job.Job) bool {
	if s.cfg.Tell == nil || j.TellAt.IsZero() {
		return false
	}
	if err := s.cfg.Tell(ctx, j); err != nil {
		s.cfg.Log.WarnContext(ctx, "mail: webhooks not told yet", "job", j.ID, "err", err)
		return false
	}
	return true
}

func (s *Service) send(ctx context.Context, j job.Job) (err error) {
	ctx, end := s.stages.Begin(ctx, stage.Mail)
	defer func() { end(err) }()
	ctx, cancel := context.WithDeadlineCause(ctx, j.LeaseUntil.Add(-s.cfg.Rules.Lease/leaseMargin), errLease)
	defer cancel()
	if err := failpoint.At(failpoint.MailClaimed); err != nil {
		return err
	}
	letter, err := s.letter(j)
	if err != nil {
		return err
	}
	return s.cfg.Send(ctx, letter)
}

// verdict is the change to the job that Send's answer asks for.
func (s *Service) verdict(ctx context.Context, attempt int, err error) (result string, change func(*job.Job) error) {
	switch {
	case err == nil:
		return sent, func(j *job.Job) error { return j.MailAccepted(attempt) }
	case errors.Is(err, job.ErrPermanent):
		return refused, func(j *job.Job) error { return j.MailRefused(attempt, why(err)) }
	case ctx.Err() != nil:
		return released, func(j *job.Job) error { return j.ReleaseMail(time.Now(), s.cfg.Rules, attempt) }
	default:
		return later, func(j *job.Job) error { return j.MailLater(time.Now(), s.cfg.Rules, attempt, why(err)) }
	}
}

// maxWhy bounds what of a mail server's answer goes into the ledger, in bytes.
const maxWhy = 500

func why(err error) string {
	text := err.Error()
	if len(text) > maxWhy {
		text = text[:maxWhy]
	}
	return strings.ToValidUTF8(text, "")
}

// report writes the one line of the log and the metric.
func (s *Service) report(ctx context.Context, j job.Job, result string, start time.Time, err error) {
	took := time.Since(start)
	s.took.WithLabelValues(result).Observe(took.Seconds())
	level, attrs := slog.LevelInfo, []slog.Attr{
		slog.String("job", j.ID), slog.String("result", result), slog.String("about", string(j.State)),
		slog.Int("attempt", j.MailAttempt), slog.Duration("took", took),
	}
	if err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.Any("err", err))
	}
	s.cfg.Log.LogAttrs(ctx, level, "mail", attrs...)
}

// note applies a change to the job that must not get lost: a mail that was accepted and not noted is sent once more.
func (s *Service) note(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error) {
	ctx, cancel := persist.Outlive(ctx)
	defer cancel()
	return persist.Update(ctx, s.cfg.Ledger, id, change)
}
