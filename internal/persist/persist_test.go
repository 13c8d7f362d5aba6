package persist

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mp3converter/internal/job"
)

// awayUntil is a ledger that answers from a time on.
type awayUntil struct {
	back  time.Time
	asked int
}

func (l *awayUntil) Update(_ context.Context, _ string, change func(*job.Job) error) (job.Job, error) {
	l.asked++
	if time.Now().Before(l.back) {
		return job.Job{}, errors.New("connection refused")
	}
	j := job.Job{}
	return j, change(&j)
}

func TestALedgerThatIsAwayForHoursGetsTheNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &awayUntil{back: time.Now().Add(3 * time.Hour)}
		ctx, cancel := Outlive(t.Context())
		defer cancel()
		if _, err := Update(ctx, ledger, "id", func(*job.Job) error { return nil }); err != nil {
			t.Errorf("Update = %v", err)
		}
		if ledger.asked > 3*3600/5+20 {
			t.Errorf("asked %d times in 3 hours: a hot loop", ledger.asked)
		}
	})
}

func TestARefusalIsAnAnswer(t *testing.T) {
	for _, refusal := range []error{job.ErrLost, job.ErrBusy, job.ErrNotYet, job.ErrState} {
		ledger := &awayUntil{}
		_, err := Update(t.Context(), ledger, "id", func(*job.Job) error { return refusal })
		if !errors.Is(err, refusal) || ledger.asked != 1 {
			t.Errorf("Update = %v after %d tries, want %v at once", err, ledger.asked, refusal)
		}
	}
}

func TestAProcessThatIsToldToStopHasItsLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, stop := context.WithCancel(t.Context())
		ctx, cancel := Outlive(told)
		defer cancel()
		stop()
		start := time.Now()
		_, err := Update(ctx, &awayUntil{back: start.Add(time.Hour)}, "id", func(*job.Job) error { return nil })
		if err == nil || time.Since(start) != LastWords {
			t.Errorf("Update = %v after %v, want the ledger's error after %v", err, time.Since(start), LastWords)
		}
	})
}
