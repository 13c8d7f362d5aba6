// Package converter makes the MP3 of a job: it claims the job, copies what it needs of the video to a scratch file, has it encoded, stores
// the MP3, commits it to the job and rings for the mail. Of several workers on one job one commits; the others leave
// nothing behind. What a queue does with a verdict, how a video is encoded and where files lie is left to others.
package converter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/persist"
	"mp3converter/internal/spool"
	"mp3converter/internal/stage"
	"mp3converter/internal/trail"
)

// Ledger keeps the jobs.
type Ledger interface {
	Insert(ctx context.Context, j job.Job) error
	Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error)
}

// Videos holds what was uploaded.
type Videos interface {
	Open(ctx context.Context, id string) (job.File, io.ReadSeekCloser, error)
}

// MP3s takes what was made.
type MP3s interface {
	Put(ctx context.Context, f job.File, r io.Reader) (job.File, error)
	Delete(ctx context.Context, id string) error
}

// Convert reads the video in and writes its MP3 to out, from the start of either. It may call progress with a growing
// number. Its errors are of three kinds: a *job.Failure that the owner is told, job.ErrTransient in the chain for what is
// not the video's fault, and anything else, as a crash, which is tried again a few times.
type Convert func(ctx context.Context, in, out *os.File, title string, p job.Profile, progress func(percent int)) (time.Duration, error)

// Early is Convert of a video that is still to come, from which it takes what is there. It returns after the end of in, and
// in's error if that is one.
type Early func(ctx context.Context, in *spool.File, out *os.File, title string, p job.Profile, progress func(percent int)) (time.Duration, error)

// Config is what a Service needs. All but Early, Hire, Needed, Worker, Log and Metrics must be set.
type Config struct {
	Ledger  Ledger
	Videos  Videos
	MP3s    MP3s
	Ring    func(ctx context.Context, j job.Job) error // see doorbell.Doorbell
	Temp    func() (*os.File, error)                   // an empty scratch file that is gone once it is closed
	Needed  func(r io.ReaderAt, size int64) []job.Span // what Convert reads of a video; nil is all of it
	Convert Convert
	Early   Early                   // nil has Convert wait for the whole video
	Hire    func() (release func()) // has Convert be readier, from the message on; release may be called twice. Nil does nothing
	Rules   job.Rules
	Worker  string // our name in the ledger
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Service converts. Handle may be called in parallel, once per conversion that the machine can bear.
type Service struct {
	cfg     Config
	metrics metrics
	stages  stage.Stages
}

// New returns a service; it does nothing until Handle is called.
func New(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg: cfg, metrics: newMetrics(cfg.Metrics), stages: stage.New(cfg.Metrics)}
}

// Handle converts the job that the message rings for, if it needs it now. Nil settles the message: the job is where it
// should be, or the ledger holds when it is to be looked at again. job.ErrPoison in the chain says that no job can come
// of the message, and after any other error it should come again, at once if ctx is over.
func (s *Service) Handle(ctx context.Context, m job.Message) error {
	if err := failpoint.At(failpoint.ConversionRung); err != nil {
		return err
	}
	release := func() {}
	if s.cfg.Hire != nil {
		release = s.cfg.Hire()
	}
	defer release()
	claiming, end := s.stages.Begin(ctx, stage.Claim)
	a, err := s.claim(claiming, m)
	end(err)
	if err == nil {
		ctx = trail.Follow(ctx, a.job)
	}
	last, cancel := persist.Outlive(ctx)
	defer cancel()
	switch {
	case persist.StepAside(err):
		s.cfg.Log.DebugContext(ctx, "conversion: nothing to do", "job", m.Video, "why", err)
		return nil
	case err != nil:
		return fmt.Errorf("claim job %s: %w", m.Video, err)
	case a.job.State == job.Failed: // the last attempt it had is the one that nobody came back from
		a.end(last, failed, a.job, nil)
		return nil
	}
	s.stages.Took(ctx, stage.Wait, a.job.Started, a.job.Waited)
	s.metrics.running.Inc()
	defer s.metrics.running.Dec()
	made, err := a.run(ctx)
	release() // before anybody is told what came of it
	if err != nil {
		return a.giveBack(last, err, context.Cause(ctx))
	}
	return a.commit(last, made)
}

// claim takes the job for a new attempt.
func (s *Service) claim(ctx context.Context, m job.Message) (*attempt, error) {
	a := &attempt{Service: s, mp3: job.NewID(time.Now()), start: time.Now()}
	var err error
	a.job, err = s.take(ctx, m.Video, a.mp3)
	if !errors.Is(err, fs.ErrNotExist) || !m.Foreign {
		return a, err
	}
	if err := s.adopt(ctx, m); err != nil {
		return nil, err
	}
	a.job, err = s.take(ctx, m.Video, a.mp3)
	return a, err
}

// claimPatience is short: nothing is lost yet, and the message comes again.
const claimPatience = 5 * time.Second

// take claims the job under the id of the MP3 to come. A claim that was made but whose answer was lost is found again by
// that id, so that it is not left lying until its lease runs out, nor counted.
func (s *Service) take(ctx context.Context, id, mp3 string) (job.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, claimPatience)
	defer cancel()
	return persist.Update(ctx, s.cfg.Ledger, id, func(j *job.Job) error {
		if n := len(j.Tried); n > 0 && j.Tried[n-1] == mp3 {
			return nil
		}
		return j.Claim(time.Now(), s.cfg.Rules, s.cfg.Worker, mp3)
	})
}

// adopt makes the job that a message of the original system, or one published by hand, has none of.
func (s *Service) adopt(ctx context.Context, m job.Message) error {
	video, content, err := s.cfg.Videos.Open(ctx, m.Video)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: unknown video %s", job.ErrPoison, m.Video)
	case err != nil:
		return fmt.Errorf("look for video %s: %w", m.Video, err)
	}
	if err := content.Close(); err != nil {
		return fmt.Errorf("look for video %s: %w", m.Video, err)
	}
	if video.Owner != "" && video.Owner != m.Username {
		return fmt.Errorf("%w: video %s belongs to somebody else", job.ErrPoison, m.Video)
	}
	m.MP3 = "" // whatever it says, the MP3 is yet to be made
	m.Trail = trail.Of(ctx)
	j := job.Adopt(time.Now(), s.cfg.Rules, m, video)
	if err := s.cfg.Ledger.Insert(ctx, j); err != nil && !errors.Is(err, fs.ErrExist) { // a duplicate may be faster
		return fmt.Errorf("adopt job %s: %w", j.ID, err)
	}
	return nil
}
