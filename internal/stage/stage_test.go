package stage_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/job"
	"mp3converter/internal/stage"
)

func TestAStepIsCountedByHowItEnds(t *testing.T) {
	registry := prometheus.NewRegistry()
	one, other := stage.New(registry), stage.New(registry) // as the suite in one process has it
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		ctx context.Context
		err error
	}{
		{t.Context(), nil},
		{over, nil},
		{over, errors.New("context canceled")},
		{t.Context(), fmt.Errorf("put: %w", job.ErrLost)},
		{t.Context(), job.ErrBusy},
		{t.Context(), errors.New("away")},
		{t.Context(), fmt.Errorf("convert: %w", job.Failing(job.ReasonNoAudio, ""))},
		{t.Context(), fmt.Errorf("550: %w", job.ErrPermanent)},
	} {
		_, end := one.Begin(tt.ctx, stage.Store)
		end(tt.err)
	}
	other.Took(t.Context(), stage.Wait, time.Now(), time.Minute)
	stage.New(nil).Took(t.Context(), stage.Wait, time.Now(), time.Minute)

	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%d metrics (%v), want 1", len(families), err)
	}
	got := map[string]uint64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[1].GetValue()+" "+m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleCount()
	}
	want := map[string]uint64{"store ok": 2, "store cut": 2, "store aside": 1, "store error": 1, "store refused": 2, "wait ok": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
