package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
)

const (
	sweepBatch  = 100
	maxFailures = 3 // in a row: then the broker or the store is away, and the rest would only fail as well
	ringTime    = 5 * time.Second
	cleanTime   = time.Minute // for one job; a large video has thousands of chunks
)

// Rounds is what sweeping needs of the ledger; porttest.Ledger has the full terms.
type Rounds interface {
	Due(ctx context.Context, now time.Time, limit int) ([]job.Job, error)
	Undated(ctx context.Context, limit int) ([]job.Job, error)
	AllByMP3(ctx context.Context, id string) ([]job.Job, error)
	Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error)
	Remove(ctx context.Context, id string) error
}

// Sweep sees to what others have left, until ctx is over: it rings for jobs that nobody was rung for, and removes the files
// of dead uploads, lost attempts and deleted jobs, and those that were kept long enough. Each gateway sweeps, without a leader. It returns nil.
func (s *Service) Sweep(ctx context.Context) error {
	s.sweeper.run(ctx)
	return nil
}

// SweepOnce sees to what is due now. The error tells what it could not see to.
func (s *Service) SweepOnce(ctx context.Context) error {
	_, err := s.sweeper.sweep(ctx)
	return err
}

type sweeper struct {
	ledger  Rounds
	ring    func(context.Context, job.Job) error
	cleaner cleaner
	dater   dater
	watch   *watch
	every   time.Duration
	log     *slog.Logger

	rung, cleaned, failed prometheus.Counter
	last                  prometheus.Gauge
}

func newSweeper(cfg Config) *sweeper {
	count := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	s := &sweeper{
		ledger: cfg.Ledger, ring: cfg.Ring, cleaner: newCleaner(cfg), dater: dater{ledger: cfg.Ledger, rules: cfg.Rules}, watch: newWatch(cfg), every: cfg.SweepEvery, log: cfg.Log,
		rung:    count("sweeper_rung_total", "Jobs that the sweeper rang for."),
		cleaned: count("sweeper_cleaned_total", "Jobs whose garbage the sweeper removed."),
		failed:  count("sweeper_failures_total", "Jobs that the sweeper could not see to, and lists that it could not get."),
		last:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "sweeper_last_run_seconds", Help: "When the sweeper last saw to all that was due, in Unix time."}),
	}
	cfg.Metrics.MustRegister(s.rung, s.cleaned, s.failed, s.last)
	return s
}

func (s *sweeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		more, err := s.sweep(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "sweep", "err", err)
		}
		wait := s.every*3/4 + rand.N(s.every/2+1) //nolint:gosec // jitter, so that gateways do not sweep in step
		if more {
			wait /= 10
		}
		pause := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// sweep reports whether there may be more that is due.
func (s *sweeper) sweep(ctx context.Context) (more bool, err error) {
	defer s.watch.look(ctx)
	now := time.Now()
	jobs, err := s.due(ctx, now)
	if err != nil {
		s.failed.Inc()
		return false, err
	}
	err = errors.Join(s.ringAll(ctx, now, jobs), s.cleanAll(ctx, now, jobs))
	undated, dateErr := s.dater.date(ctx, now)
	if dateErr != nil {
		s.failed.Inc()
	}
	if err := errors.Join(err, dateErr); err != nil {
		return false, err
	}
	s.last.SetToCurrentTime()
	return len(jobs) >= sweepBatch || undated, ctx.Err()
}

// ringAll rings first, for users wait for it. One bell that is out of order does not stop the other.
func (s *sweeper) ringAll(ctx context.Context, now time.Time, jobs []job.Job) error {
	errands := map[job.Bell]*errand{}
	for _, to := range []job.Bell{job.ForConverter, job.ForMailer} {
		errands[to] = &errand{do: s.ring, later: (*job.Job).Unrung, limit: ringTime, done: s.rung, sweeper: s}
	}
	for _, j := range jobs {
		if e := errands[j.Bell()]; e != nil && j.RingDue(now) {
			e.run(ctx, j)
		}
	}
	return errors.Join(errands[job.ForConverter].err, errands[job.ForMailer].err)
}

func (s *sweeper) cleanAll(ctx context.Context, now time.Time, jobs []job.Job) error {
	ctx, cancel := context.WithTimeout(ctx, cleanTime) // the rings of the next sweep wait for it
	defer cancel()
	e := errand{do: s.cleaner.clean, later: (*job.Job).Uncleaned, limit: cleanTime, done: s.cleaned, sweeper: s}
	for _, j := range jobs {
		if j.CleanDue(now) {
			e.run(ctx, j)
		}
	}
	return e.err
}

func (s *sweeper) due(ctx context.Context, now time.Time) ([]job.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	jobs, err := s.ledger.Due(ctx, now, sweepBatch)
	if err != nil {
		return nil, fmt.Errorf("list what is due: %w", err)
	}
	return jobs, nil
}

// errand is one thing that a sweep does for many jobs.
type errand struct {
	*sweeper
	do    func(context.Context, job.Job) error
	later func(*job.Job, time.Time, job.Rules) error // puts off a job for which it failed, so that others come first next time
	limit time.Duration
	done  prometheus.Counter
	inRow int
	err   error // the first
}

func (e *errand) run(ctx context.Context, j job.Job) {
	if e.inRow >= maxFailures || ctx.Err() != nil {
		return
	}
	limited, cancel := context.WithTimeout(ctx, e.limit)
	defer cancel()
	err := e.do(limited, j)
	if err == nil {
		e.done.Inc()
	}
	if err = settled(err); err == nil {
		e.inRow = 0
		return
	}
	e.putOff(ctx, j.ID)
	if ctx.Err() != nil { // this round's time is over: that is no failure of what was in hand
		return
	}
	e.failed.Inc()
	e.inRow++
	if e.err == nil {
		e.err = err
	}
}

func (e *errand) putOff(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	_, err := e.ledger.Update(ctx, id, func(j *job.Job) error { return e.later(j, time.Now(), e.cleaner.rules) })
	if settled(err) != nil { // then the ledger is away, and the job stays first
		e.log.DebugContext(ctx, "sweep: not put off", "job", id, "err", err)
	}
}

// cleaner removes files that no longer count. All it does may be done twice, and by several at once.
type cleaner struct {
	ledger       Rounds
	videos, mp3s Files
	rules        job.Rules
}

func newCleaner(cfg Config) cleaner { return cleaner{cfg.Ledger, cfg.Videos, cfg.MP3s, cfg.Rules} }

// settle is clean for those who do not mind that somebody else was faster.
func (c cleaner) settle(ctx context.Context, j job.Job) error { return settled(c.clean(ctx, j)) }

// clean removes the garbage of a job that is CleanDue, and at last the record of a deleted one. The job is as somebody has
// read it: what was garbage then is garbage for ever, but whether it was cleaned only the ledger can say.
func (c cleaner) clean(ctx context.Context, j job.Job) error {
	if j.State == job.Uploading {
		dead, err := c.bury(ctx, j.ID)
		if err != nil {
			return fmt.Errorf("upload %s: %w", j.ID, err)
		}
		j = dead
	}
	if j.ExpireDue(time.Now()) {
		kept, err := c.expire(ctx, j.ID)
		if err != nil {
			return fmt.Errorf("job %s: %w", j.ID, err)
		}
		j = kept
		if err := failpoint.At(failpoint.Expired); err != nil {
			return err
		}
	}
	videos, mp3s := j.Garbage()
	for _, id := range videos {
		if err := c.videos.Delete(ctx, id); err != nil {
			return fmt.Errorf("delete video %s: %w", id, err)
		}
	}
	for _, id := range mp3s {
		if err := c.deleteMP3(ctx, j, id); err != nil {
			return fmt.Errorf("delete mp3 %s: %w", id, err)
		}
	}
	return c.note(ctx, j, videos, mp3s)
}

// deleteMP3 leaves an MP3 to the last job that promises it: messages, from which jobs are made that no converter of ours has had,
// may name one twice, or one of ours.
func (c cleaner) deleteMP3(ctx context.Context, j job.Job, id string) error {
	all, err := c.ledger.AllByMP3(ctx, id)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(other job.Job) bool { return other.ID != j.ID && !other.MP3Gone }) {
		return nil
	}
	return c.mp3s.Delete(ctx, id)
}

// expire notes what has been kept long enough: from then on nobody downloads or retries it.
func (c cleaner) expire(ctx context.Context, id string) (job.Job, error) {
	return c.ledger.Update(ctx, id, func(j *job.Job) error { return j.Expire(time.Now(), c.rules) })
}

// bury takes an upload from a gateway that has been silent for the whole lease.
func (c cleaner) bury(ctx context.Context, id string) (job.Job, error) {
	return c.ledger.Update(ctx, id, func(j *job.Job) error {
		now := time.Now()
		if j.State != job.Uploading || !j.CleanDue(now) {
			return job.ErrState // it lives
		}
		return j.Delete(now)
	})
}

// note tells the ledger that the job was cleaned, unless another cleaner has, or the job is in another state by now: then
// other files may have become garbage.
func (c cleaner) note(ctx context.Context, cleaned job.Job, videos, mp3s []string) error {
	last := false
	_, err := c.ledger.Update(ctx, cleaned.ID, func(j *job.Job) error {
		now := time.Now()
		if j.State != cleaned.State || !j.CleanDue(now) {
			return job.ErrState
		}
		last = j.Cleaned(now, c.rules, videos, mp3s)
		return nil
	})
	if err != nil || !last {
		return err
	}
	return c.ledger.Remove(ctx, cleaned.ID)
}

// settled forgives what only means that somebody else has been faster.
func settled(err error) error {
	if errors.Is(err, job.ErrState) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
