package converter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/persist"
	"mp3converter/internal/stage"
)

// What can come of an attempt: the label of the metric and the word in the log.
const (
	converted = "converted"
	failed    = "failed"    // for good; the owner is told
	crashed   = "crashed"   // nobody knows why; counted
	postponed = "postponed" // a store or the scratch folder is away
	stopped   = "stopped"   // we are told to stop
	lost      = "lost"      // deleted by the owner, ended by an operator, or taken by somebody else after our lease ran out
)

// What the owner may read about an attempt that did not fail for good. What really happened is in the log: it names
// hosts and paths.
const (
	saysCrashed   = "the conversion ended unexpectedly"
	saysPostponed = "a part of the service was not available"
	saysStopped   = "the service was restarted"
)

// maxExcused is how many attempts may end for a reason that is not the video's fault before these count as well: then
// something is away for good, for this job at least. At the longest delay it is more than a day.
const maxExcused = 1000

// maxDelay bounds the wait after an attempt that was postponed again and again.
const maxDelay = 2 * time.Minute

// commit makes the MP3 the job's, unless the job is no longer ours.
func (a *attempt) commit(ctx context.Context, m made) error {
	committing, end := a.stages.Begin(ctx, stage.Commit)
	j, err := persist.Update(committing, a.cfg.Ledger, a.job.ID, func(j *job.Job) error {
		return j.Commit(time.Now(), a.cfg.Rules, a.job.Attempt, m.mp3, m.duration)
	})
	end(err)
	if err == nil {
		err = failpoint.At(failpoint.MP3Committed)
	}
	switch {
	case persist.MovedOn(err) && j.MP3 == a.mp3: // by our own commit, whose answer was lost
	case persist.MovedOn(err):
		a.metrics.lost(a.job, j)
		a.discard(ctx)
		a.end(ctx, lost, j, err)
		return nil
	case err != nil:
		// It may be committed or not, so the MP3 stays. If it is garbage, the sweeper knows its id.
		return fmt.Errorf("commit job %s: %w", a.job.ID, err)
	}
	a.end(ctx, converted, j, nil)
	return nil
}

// giveBack notes in the job why the attempt ended without an MP3. If we are told to stop, told says so.
func (a *attempt) giveBack(ctx context.Context, cause, told error) error {
	a.discard(ctx)
	if errors.Is(cause, job.ErrLost) {
		a.end(ctx, lost, a.job, cause)
		return nil
	}
	result, change := a.verdict(cause, told)
	j, err := persist.Update(ctx, a.cfg.Ledger, a.job.ID, change)
	switch {
	case persist.MovedOn(err):
		a.metrics.lost(a.job, j)
		a.end(ctx, lost, j, cause)
		return nil
	case err != nil:
		return fmt.Errorf("give back job %s: %w", a.job.ID, errors.Join(err, cause))
	case j.State == job.Failed:
		result = failed
	}
	a.end(ctx, result, j, cause)
	if result == stopped {
		return fmt.Errorf("convert job %s: %w", a.job.ID, told) // the queue gives it to somebody else at once
	}
	return nil
}

// verdict is the change to the job that an error asks for. That we are told to stop comes first: what else went wrong may
// come of it.
func (a *attempt) verdict(cause, told error) (result string, change func(*job.Job) error) {
	rules, n := a.cfg.Rules, a.job.Attempt
	var failure *job.Failure
	switch {
	case told != nil:
		return stopped, func(j *job.Job) error { return j.Release(time.Now(), rules, n, 0, saysStopped) }
	case errors.As(cause, &failure):
		return failed, func(j *job.Job) error { return j.Fail(time.Now(), rules, n, failure.Reason, failure.Detail) }
	case errors.Is(cause, job.ErrTransient) && a.job.Excused < maxExcused:
		return postponed, func(j *job.Job) error { return j.Release(time.Now(), rules, n, a.delay(), saysPostponed) }
	default:
		return crashed, func(j *job.Job) error { return j.Crashed(time.Now(), rules, n, says(cause)) }
	}
}

func says(cause error) string {
	switch {
	case errors.Is(cause, errDamaged):
		return errDamaged.Error()
	case errors.Is(cause, job.ErrTransient):
		return saysPostponed
	default:
		return saysCrashed
	}
}

// delay doubles with each excused attempt.
func (a *attempt) delay() time.Duration {
	d := a.cfg.Rules.RetryDelay
	for n := a.job.Excused; n > 0 && d < maxDelay; n-- {
		d *= 2
	}
	return min(d, maxDelay)
}

// end rings for a job that now owes a mail, and writes the one line of the log and the metrics.
func (a *attempt) end(ctx context.Context, result string, j job.Job, cause error) {
	took := time.Since(a.start)
	a.metrics.ended(result, took, j)
	level, attrs := slog.LevelInfo, []slog.Attr{
		slog.String("job", a.job.ID), slog.String("result", result), slog.Int("attempt", a.job.Attempt),
		slog.Duration("took", took), slog.String("profile", string(a.job.Profile)), slog.Int64("video_bytes", a.job.VideoBytes),
	}
	switch result {
	case converted:
		attrs = append(attrs, slog.Int64("mp3_bytes", j.MP3Bytes), slog.Duration("duration", j.Duration))
	case failed:
		attrs = append(attrs, slog.String("reason", string(j.Reason)))
	}
	if cause != nil {
		attrs = append(attrs, slog.Any("err", cause))
	}
	if result == crashed || result == postponed {
		level = slog.LevelWarn
	}
	a.cfg.Log.LogAttrs(ctx, level, "conversion", attrs...)
	if result == converted || result == failed {
		a.ring(ctx, j)
	}
}

// ring rings for the mail. If it cannot, the sweeper will.
func (a *attempt) ring(ctx context.Context, j job.Job) {
	if err := a.cfg.Ring(ctx, j); err != nil {
		a.cfg.Log.WarnContext(ctx, "conversion: not rung, the sweeper will", "job", j.ID, "err", err)
	}
}

// discard removes what the attempt has stored. If it cannot, the sweeper will: the job knows the id.
func (a *attempt) discard(ctx context.Context) {
	if !a.touched {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, persist.LastWords/5)
	defer cancel()
	if err := a.cfg.MP3s.Delete(ctx, a.mp3); err != nil {
		a.cfg.Log.DebugContext(ctx, "conversion: mp3 left to the sweeper", "job", a.job.ID, "mp3", a.mp3, "err", err)
	}
}
