package converter_test

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/converter"
	"mp3converter/internal/job"
)

func TestEachAttemptIsOneLineOfTheLogAndOneObservation(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		var log strings.Builder
		registry := prometheus.NewRegistry()
		w.cfg.Log, w.cfg.Metrics = slog.New(slog.NewTextHandler(&log, nil)), registry
		w.Service = converter.New(w.cfg)
		w.handle(t, w.uploaded(t, "a.mp4"))
		for _, err := range []error{job.Failing(job.ReasonNoAudio, ""), errors.New("killed"), job.ErrTransient} {
			w.encode = fails(err)
			w.handle(t, w.uploaded(t, "a.mp4"))
		}
		if diff := cmp.Diff([]string{"converted", "crashed", "failed", "postponed"}, results(t, registry)); diff != "" {
			t.Error(diff)
		}
		if got := strings.Count(log.String(), "msg=conversion "); got != 4 {
			t.Errorf("%d lines:\n%s", got, log.String())
		}
	})
}

// Whoever deletes or stops a job takes it from its worker on purpose; a lease that has run out is a fault of ours.
func TestALeaseIsLostOnlyToAnotherWorker(t *testing.T) {
	for name, tt := range map[string]struct {
		happens func(j *job.Job) error
		want    float64
	}{
		"another has claimed it": {func(j *job.Job) error { return j.Claim(j.LeaseUntil, job.DefaultRules(), "two", job.NewID(time.Now())) }, 1},
		"its owner deletes it":   {func(j *job.Job) error { return j.Delete(time.Now()) }, 0},
		"an operator stops it":   {func(j *job.Job) error { return j.Stop(time.Now(), job.DefaultRules(), "") }, 0},
	} {
		for _, when := range []string{"while it encodes", "when it stores"} {
			t.Run(name+" "+when, func(t *testing.T) {
				inTime(t, func(t *testing.T, w *world) {
					registry := prometheus.NewRegistry()
					w.cfg.Metrics = registry
					w.Service = converter.New(w.cfg)
					j := w.uploaded(t, "a.mp4")
					take := func() { w.change(t, j.ID, tt.happens) }
					if when == "when it stores" {
						w.mp3s.onPut = take
					} else {
						w.encode = encodes(time.Hour)
						time.AfterFunc(time.Minute, take)
					}
					w.handle(t, j)
					if got := value(t, registry, "mp3_leases_lost_total"); got != tt.want {
						t.Errorf("%v leases lost, want %v", got, tt.want)
					}
				})
			})
		}
	}
}

// Every step of a job is observed, and how many attempts it took.
func TestTheStepsOfAJobAreObserved(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		registry := prometheus.NewRegistry()
		w.cfg.Metrics = registry
		w.Service = converter.New(w.cfg)
		j := w.uploaded(t, "a.mp4")
		w.encode = fails(errors.New("killed"))
		w.handle(t, j)
		time.Sleep(w.rules.RetryDelay)
		w.encode = nil
		w.handle(t, j)
		w.handle(t, j) // nothing to do
		want := map[string]uint64{
			"claim ok": 2, "claim aside": 1, "wait ok": 2, "fetch ok": 2, "encode ok": 1, "encode error": 1, "store ok": 1, "commit ok": 1,
		}
		if diff := cmp.Diff(want, steps(t, registry)); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
	})
}

// steps are the observations of job_stage_seconds.
func steps(t *testing.T, from prometheus.Gatherer) map[string]uint64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]uint64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "job_stage_seconds" {
				seen[m.GetLabel()[1].GetValue()+" "+m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleCount()
			}
		}
	}
	return seen
}

// results lists the labels of mp3_conversion_seconds that were observed once.
func results(t *testing.T, from prometheus.Gatherer) []string {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "mp3_conversion_seconds" && m.GetHistogram().GetSampleCount() == 1 {
				seen[m.GetLabel()[0].GetValue()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// value is what a counter without labels is at.
func value(t *testing.T, from prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}
