package doorbell

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"mp3converter/internal/job"
)

// oneJob is a ledger of one job.
type oneJob struct {
	job job.Job
	err error
}

func (l *oneJob) Update(_ context.Context, _ string, change func(*job.Job) error) (job.Job, error) {
	if l.err != nil {
		return job.Job{}, l.err
	}
	j := l.job
	if err := change(&j); err != nil {
		return l.job, err
	}
	l.job = j
	return j, nil
}

// queued is a job that waits for a converter.
func queued() job.Job {
	m := job.Message{Video: job.NewID(time.Now()), Username: "sid@gmail.com"}
	return job.Adopt(time.Now(), job.DefaultRules(), m, job.File{})
}

func TestRing(t *testing.T) {
	down := errors.New("connection refused")
	for name, tt := range map[string]struct {
		publish, ledger error
		want            error
		noted           bool
	}{
		"rung and noted":                  {nil, nil, nil, true},
		"not published, so not noted":     {down, nil, down, false},
		"published, but not to be noted":  {nil, down, down, false},
		"whoever was rung has deleted it": {nil, fs.ErrNotExist, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			j := queued()
			ledger := &oneJob{j, tt.ledger}
			var to job.Bell
			bell := Doorbell{Ledger: ledger, Rules: job.DefaultRules(), Publish: func(_ context.Context, b job.Bell, m job.Message) error {
				to = b
				if m.Video != j.ID {
					t.Errorf("published %+v", m)
				}
				return tt.publish
			}}
			if err := bell.Ring(t.Context(), j); !errors.Is(err, tt.want) {
				t.Errorf("Ring = %v, want %v", err, tt.want)
			}
			if to != job.ForConverter {
				t.Errorf("rung at %q", to)
			}
			if noted := ledger.job.Rings == 1; noted != tt.noted {
				t.Errorf("noted = %v, want %v", noted, tt.noted)
			}
		})
	}
}

func TestAJobThatHasMovedOnIsNotHeldBack(t *testing.T) {
	j := queued()
	ledger := &oneJob{job: j}
	if err := ledger.job.Claim(time.Now(), job.DefaultRules(), "w", job.NewID(time.Now())); err != nil {
		t.Fatal(err)
	}
	lease := ledger.job.RingAt
	bell := Doorbell{Ledger: ledger, Rules: job.DefaultRules(), Publish: func(context.Context, job.Bell, job.Message) error { return nil }}
	if err := bell.Ring(t.Context(), j); err != nil || !ledger.job.RingAt.Equal(lease) {
		t.Errorf("Ring = %v, the converter's lease rings at %v instead of %v", err, ledger.job.RingAt, lease)
	}
}

func TestNobodyIsRungForAJobThatIsOver(t *testing.T) {
	j := queued()
	if err := j.Delete(time.Now()); err != nil {
		t.Fatal(err)
	}
	bell := Doorbell{Publish: func(context.Context, job.Bell, job.Message) error { t.Error("rung"); return nil }}
	if err := bell.Ring(t.Context(), j); err != nil {
		t.Error(err)
	}
}
