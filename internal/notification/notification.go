// Package notification writes the one mail that a finished job owes its owner: where the MP3 is, or why there is none. It
// answers a queue's messages; a mail is sent at least once, and again only if nobody could note that it was sent. How a
// mail travels is left to Config.Send, when a job is looked at again to the ledger's times and the sweeper.
package notification

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"mp3converter/internal/failpoint"
	"mp3converter/internal/job"
	"mp3converter/internal/link"
	"mp3converter/internal/persist"
	"mp3converter/internal/stage"
	"mp3converter/internal/trail"
)

// Ledger keeps the jobs.
type Ledger interface {
	Insert(ctx context.Context, j job.Job) error
	Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error)
}

// MP3s is asked whether the MP3 of a foreign message exists.
type MP3s interface {
	Open(ctx context.Context, id string) (job.File, io.ReadSeekCloser, error)
}

// Config is what a Service needs. All but BaseURL, Host, Worker, Log and Metrics must be set.
type Config struct {
	Ledger Ledger
	MP3s   MP3s
	// Send returns nil once the mail server has taken the letter. job.ErrPermanent in an error's chain is its final no;
	// after any other error the same letter is sent again, later.
	Send func(ctx context.Context, l job.Letter) error
	// Tell stores what the owner's webhooks are to be told; nil if somebody else sees to them.
	Tell    func(ctx context.Context, j job.Job) error
	Rules   job.Rules
	From    string        // who the mails are from: a bare address
	BaseURL string        // the gateway as users reach it, http://mp3converter.com; without it mails name no addresses
	Links   link.Key      // signs links that need no login; zero: there are none. Needs BaseURL
	LinkFor time.Duration // how long such a link is good
	Host    string        // right of the @ in Message-IDs; "" is From's. Every process of an installation must have the same
	Worker  string        // our name in the ledger
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Service sends mails. Handle may be called in parallel.
type Service struct {
	cfg    Config
	took   *prometheus.HistogramVec
	stages stage.Stages
}

// New returns a service; it does nothing until Handle is called.
func New(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Host == "" {
		_, cfg.Host, _ = strings.Cut(cfg.From, "@")
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	return &Service{cfg: cfg, stages: stage.New(cfg.Metrics), took: promauto.With(cfg.Metrics).NewHistogramVec(prometheus.HistogramOpts{
		Name:    "mp3_mail_seconds",
		Help:    "Time from the claim of a mail to what came of it.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120},
	}, []string{"result"})}
}

// Handle looks at the job that the message rings for and sends the mail it owes, if it owes one now. Nil settles the
// message, job.ErrPoison in the chain says that no job can come of it, and after any other error it should come again.
func (s *Service) Handle(ctx context.Context, m job.Message) error {
	if err := failpoint.At(failpoint.MailRung); err != nil {
		return err
	}
	claiming, end := s.stages.Begin(ctx, stage.Claim)
	j, err := s.claim(claiming, m)
	end(err)
	switch {
	case persist.StepAside(err):
		s.cfg.Log.DebugContext(ctx, "mail: nothing to do", "job", m.Video, "why", err)
		return nil
	case err != nil:
		return fmt.Errorf("claim the mail of %s: %w", m.Video, err)
	}
	return s.deliver(trail.Follow(ctx, j), j)
}

func (s *Service) claim(ctx context.Context, m job.Message) (job.Job, error) {
	j, err := s.take(ctx, m.Video)
	if !errors.Is(err, fs.ErrNotExist) || !m.Foreign {
		return j, err
	}
	if err := s.adopt(ctx, m); err != nil {
		return job.Job{}, err
	}
	return s.take(ctx, m.Video)
}

func (s *Service) take(ctx context.Context, id string) (job.Job, error) {
	return s.cfg.Ledger.Update(ctx, id, func(j *job.Job) error {
		return j.ClaimMail(time.Now(), s.cfg.Rules, s.cfg.Worker)
	})
}

// adopt makes the job that a message of the original system, or one published by hand, has none of.
func (s *Service) adopt(ctx context.Context, m job.Message) error {
	if m.MP3 == "" {
		return fmt.Errorf("%w: no mp3_fid, and video_fid %s is no job", job.ErrPoison, m.Video)
	}
	f, content, err := s.cfg.MP3s.Open(ctx, m.MP3)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: unknown mp3_fid %s", job.ErrPoison, m.MP3)
	case err != nil:
		return fmt.Errorf("look for mp3 %s: %w", m.MP3, err)
	}
	if err := content.Close(); err != nil {
		return fmt.Errorf("look for mp3 %s: %w", m.MP3, err)
	}
	if f.Owner != "" && f.Owner != m.Username {
		return fmt.Errorf("%w: mp3_fid %s belongs to somebody else", job.ErrPoison, m.MP3)
	}
	m.Trail = trail.Of(ctx)
	j := job.Adopt(time.Now(), s.cfg.Rules, m, job.File{Name: f.Name})
	if err := s.cfg.Ledger.Insert(ctx, j); err != nil && !errors.Is(err, fs.ErrExist) { // a duplicate may be faster
		return fmt.Errorf("adopt job %s: %w", j.ID, err)
	}
	return nil
}
