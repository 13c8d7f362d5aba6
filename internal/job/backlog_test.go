package job

import (
	"testing"
	"time"
)

func TestAClaimSaysHowLongTheJobWasFree(t *testing.T) {
	pause := func(*Job, time.Time) error { return nil } // a second
	for name, tt := range map[string]struct {
		before []step
		wait   time.Duration
		want   time.Duration
	}{
		"from the upload on":             {[]step{arrive, pause}, 0, 2 * time.Second},
		"from when it was given back on": {[]step{arrive, pause, claim, pause, release, pause}, 0, 2 * time.Second},
		"not while it waits to be tried": {[]step{arrive, claim, crash1}, rules.RetryDelay, time.Second},
		"not while a dead worker's":      {[]step{arrive, claim}, rules.Lease + 5*time.Second, 6 * time.Second},
		"from the retry on":              {[]step{arrive, claim, fail1, pause, retry, pause}, 0, 2 * time.Second},
		"queued by an older version":     {[]step{arrive, func(j *Job, _ time.Time) error { j.Free = time.Time{}; return nil }}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			j, now := after(t, tt.before...)
			if err := reclaim(&j, now.Add(tt.wait)); err != nil || j.Waited != tt.want || !j.Free.IsZero() {
				t.Errorf("waited %v (%v), free since %v; want %v", j.Waited, err, j.Free, tt.want)
			}
		})
	}
}
