package gateway

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/job"
)

// watch is what operators are to know of all jobs and messages, whoever works on them. Every sweeper looks at them after its
// round, so the gateways say the same, and a scrape asks nobody. What cannot be known stays as it was.
type watch struct {
	backlog func(context.Context) (job.Backlog, error)
	dead    func(context.Context) (map[string]int, error)
	log     *slog.Logger

	jobs    *prometheus.GaugeVec
	letters *prometheus.GaugeVec
	oldest  atomic.Int64 // Since of the oldest job in milliseconds, 0 if there is none
}

func newWatch(cfg Config) *watch {
	w := &watch{
		backlog: cfg.Backlog, dead: cfg.DeadLetters, log: cfg.Log,
		jobs: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "jobs_waiting", Help: "Jobs that wait for a converter, are being converted, or wait for their mail.",
		}, []string{"state"}),
		letters: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "queue_dead_letters", Help: "Messages of the queue that were given up on.",
		}, []string{"queue"}),
	}
	if w.backlog != nil {
		cfg.Metrics.MustRegister(w.jobs, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "jobs_oldest_age_seconds", Help: "For how long the owner of the oldest job without an MP3 has waited, 0 if nobody does.",
		}, w.age))
	}
	if w.dead != nil {
		cfg.Metrics.MustRegister(w.letters)
	}
	return w
}

func (w *watch) age() float64 {
	since := w.oldest.Load()
	if since == 0 {
		return 0
	}
	return max(0, time.Since(time.UnixMilli(since)).Seconds())
}

// look asks the ledger and the broker.
func (w *watch) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if w.backlog != nil {
		b, err := w.backlog(ctx)
		w.note(ctx, "jobs", err, func() {
			for state, n := range b.Jobs {
				w.jobs.WithLabelValues(string(state)).Set(float64(n))
			}
			w.oldest.Store(0)
			if !b.Oldest.IsZero() {
				w.oldest.Store(b.Oldest.UnixMilli())
			}
		})
	}
	if w.dead != nil {
		letters, err := w.dead(ctx)
		w.note(ctx, "dead letters", err, func() {
			for queue, n := range letters {
				w.letters.WithLabelValues(queue).Set(float64(n))
			}
		})
	}
}

func (w *watch) note(ctx context.Context, what string, err error, known func()) {
	if err != nil {
		w.log.DebugContext(ctx, "sweep: not counted", "what", what, "err", err)
		return
	}
	known()
}
