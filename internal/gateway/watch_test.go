package gateway_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

func TestTheSweeperTellsWhatThereIsToDo(t *testing.T) {
	t.Parallel()
	var away error
	r := start(t, func(r *rig, cfg *gateway.Config) {
		cfg.Backlog = func(ctx context.Context) (job.Backlog, error) {
			if away != nil {
				return job.Backlog{}, away
			}
			return r.ledger.Backlog(ctx)
		}
		cfg.DeadLetters = func(context.Context) (map[string]int, error) { return map[string]int{"video": 3}, away }
	})
	r.must(r.service.SweepOnce(t.Context()))
	if age := r.gauge("jobs_oldest_age_seconds"); age != 0 {
		t.Errorf("the oldest of no jobs is %v s old", age)
	}
	id := job.NewID(r.ago(time.Hour))
	r.insert(job.Adopt(r.ago(time.Hour), r.rules, job.Message{Video: id, Username: sid}, job.File{ID: id}))
	for _, away = range []error{nil, errors.New("away")} { // then nothing is forgotten
		r.must(r.service.SweepOnce(t.Context()))
		if age := r.gauge("jobs_oldest_age_seconds"); age < 3600 || age > 4000 {
			t.Errorf("%v: a job of an hour is %v s old", away, age)
		}
		if n := r.waiting(); n[job.Queued] != 1 || len(n) != len(job.Waiting) {
			t.Errorf("%v: %v jobs wait", away, n)
		}
		if n := r.gauge("queue_dead_letters"); n != 3 {
			t.Errorf("%v: %v dead letters", away, n)
		}
	}
}

// waiting is jobs_waiting by state.
func (r *rig) waiting() map[job.State]float64 {
	families, err := r.metrics.Gather()
	r.must(err)
	all := map[job.State]float64{}
	for _, f := range families {
		if f.GetName() == "jobs_waiting" {
			for _, m := range f.GetMetric() {
				all[job.State(m.GetLabel()[0].GetValue())] = m.GetGauge().GetValue()
			}
		}
	}
	return all
}
