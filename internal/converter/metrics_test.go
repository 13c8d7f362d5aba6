package converter_test

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

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
