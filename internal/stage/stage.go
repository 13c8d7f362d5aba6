// Package stage measures what a job goes through: how long each step took, and how it ended, as a metric and as a span. What a step does, and what an
// end means for the job, is for those that do it.
package stage

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/job"
	"mp3converter/internal/trail"
)

// Name is a step's.
type Name string

// The steps, in order. Of a large video the first part is encoded while the rest is fetched.
const (
	Wait   Name = "wait"   // from when the job could be claimed to the claim
	Claim  Name = "claim"  // of the job, or of its mail
	Fetch  Name = "fetch"  // the video, as much of it as is needed
	Encode Name = "encode" // to an MP3, checked
	Store  Name = "store"  // the MP3
	Commit Name = "commit" // it is the job's
	Mail   Name = "mail"   // to the mail server
)

// How a step ends: the label of the metric.
const (
	ok      = "ok"
	failed  = "error"
	refused = "refused" // for good: the video is to blame, or the mail server's final no
	cut     = "cut"     // the process is told to stop, or the job is no longer ours
	aside   = "aside"   // there was nothing to do
)

// Stages measures.
type Stages struct{ seconds *prometheus.HistogramVec }

// New returns a Stages. Several in one process share the metric; of a nil registerer nobody reads it.
func New(to prometheus.Registerer) Stages {
	s := Stages{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "job_stage_seconds", Help: "Time that a step of a job took, by how it ended.",
		Buckets: []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600},
	}, []string{"stage", "result"})}
	if to == nil {
		return s
	}
	if already := (prometheus.AlreadyRegisteredError{}); errors.As(to.Register(s.seconds), &already) {
		s.seconds = already.ExistingCollector.(*prometheus.HistogramVec) //nolint:forcetypeassert // of this name and these labels there is no other
	}
	return s
}

// Begin begins a step. What belongs to it is to be done with the context that it returns; end is called with what came of it.
func (s Stages) Begin(ctx context.Context, name Name) (_ context.Context, end func(error)) {
	start := time.Now()
	kind := trail.Internal
	if name == Mail {
		kind = trail.Client
	}
	ctx, span := trail.Start(ctx, kind, string(name))
	return ctx, func(err error) {
		s.observe(name, resultOf(ctx, err), time.Since(start))
		span.End(err)
	}
}

// Took notes a step that has ended well, at that time.
func (s Stages) Took(ctx context.Context, name Name, end time.Time, took time.Duration) {
	s.observe(name, ok, took)
	trail.Past(ctx, string(name), end, took)
}

func (s Stages) observe(name Name, result string, took time.Duration) {
	s.seconds.WithLabelValues(string(name), result).Observe(took.Seconds())
}

func resultOf(ctx context.Context, err error) string {
	failure := (*job.Failure)(nil)
	switch {
	case err == nil:
		return ok
	case errors.As(err, &failure), errors.Is(err, job.ErrPermanent):
		return refused
	case errors.Is(err, job.ErrBusy), errors.Is(err, job.ErrNotYet), errors.Is(err, job.ErrState), errors.Is(err, fs.ErrNotExist):
		return aside
	case errors.Is(err, job.ErrLost), ctx.Err() != nil:
		return cut
	default:
		return failed
	}
}
