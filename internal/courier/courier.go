// Package courier tells owners' webhooks how their jobs have ended: it turns a job that owes into deliveries, and makes each
// until the receiver has taken it, at least once and under one id. How a request travels is left to Config.Post; what a hook
// and a delivery may do next is package hook's affair.
//
// A job owes until its deliveries are stored and their hooks woken; to do either twice is to do it once. A courier has a
// hook's lease while it makes that hook's deliveries. Whatever dies in between is found by the next round.
package courier

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"mp3converter/internal/hook"
	"mp3converter/internal/job"
)

// Jobs is the ledger; porttest.Ledger has the full terms.
type Jobs interface {
	Untold(ctx context.Context, now time.Time, limit int) ([]job.Job, error)
	Update(ctx context.Context, id string, change func(*job.Job) error) (job.Job, error)
}

// Hooks keeps the webhooks; porttest.Hooks has the full terms.
type Hooks interface {
	Of(ctx context.Context, owner string) ([]hook.Hook, error)
	Update(ctx context.Context, id string, change func(*hook.Hook) error) (hook.Hook, error)
	Due(ctx context.Context, now time.Time, limit int) ([]hook.Hook, error)
}

// Deliveries keeps what is sent to them; porttest.Deliveries has the full terms.
type Deliveries interface {
	Insert(ctx context.Context, d hook.Delivery) error
	Update(ctx context.Context, id string, change func(*hook.Delivery) error) (hook.Delivery, error)
	Due(ctx context.Context, of string, now time.Time, limit int) ([]hook.Delivery, error)
}

// Config is what a Service needs. All before Workers must be set.
type Config struct {
	Jobs       Jobs
	Hooks      Hooks
	Deliveries Deliveries
	// Post sends the body to the URL and returns the status of the answer, or why there is none, in words for the hook's owner.
	Post    func(ctx context.Context, url string, header http.Header, body string) (status int, err error)
	Rules   hook.Rules
	Workers int           // hooks at once, of one owner half as many; 0 is 8
	Every   time.Duration // between two rounds; 0 is 2 s
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Service is a courier. Tell and Run may run in parallel.
type Service struct {
	cfg    Config
	places *places
	nudged chan struct{} // holds one: there may be something to do
	took   *prometheus.HistogramVec
}

// New returns a service; it does nothing until Run or Tell is called.
func New(cfg Config) *Service {
	cfg.Workers, cfg.Every = cmp.Or(cfg.Workers, 8), cmp.Or(cfg.Every, 2*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		cfg: cfg, places: newPlaces(cfg.Workers), nudged: make(chan struct{}, 1),
		took: promauto.With(cfg.Metrics).NewHistogramVec(prometheus.HistogramOpts{
			Name:    "mp3_webhook_seconds",
			Help:    "Time that a try to deliver to a webhook took, by what came of it.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
		}, []string{"result"}),
	}
	for _, result := range []string{delivered, refused, away} {
		s.took.WithLabelValues(result) // there from the start, or the first of them are no increase
	}
	return s
}

// Run makes its rounds until ctx is over, and returns nil when what it had in hand has ended.
func (s *Service) Run(ctx context.Context) error {
	var work sync.WaitGroup
	work.Go(func() { // apart from the visits, which may take long
		for ctx.Err() == nil {
			s.tellAll(ctx)
			s.pause(ctx, nil)
		}
	})
	for ctx.Err() == nil {
		s.visitAll(ctx, &work)
		s.pause(ctx, s.nudged)
	}
	work.Wait()
	return nil
}

// pause waits for the next round, or for a nudge.
func (s *Service) pause(ctx context.Context, nudge <-chan struct{}) {
	wait := time.NewTimer(s.cfg.Every*3/4 + rand.N(s.cfg.Every/2+1)) //nolint:gosec // jitter, so that couriers do not go in step
	defer wait.Stop()
	select {
	case <-ctx.Done():
	case <-nudge:
	case <-wait.C:
	}
}

// nudge has the next round begin at once.
func (s *Service) nudge() {
	select {
	case s.nudged <- struct{}{}:
	default: // it will anyway
	}
}
