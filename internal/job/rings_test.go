package job

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEveryJobThatIsNotOverIsRungForSomeTime(t *testing.T) {
	for name, steps := range map[string][]step{
		"queued":               {arrive},
		"converting":           {arrive, claim},
		"crashed":              {arrive, claim, crash1},
		"released":             {arrive, claim, release},
		"converted":            {arrive, claim, commit1},
		"being mailed":         {arrive, claim, commit1, post},
		"greylisted":           {arrive, claim, commit1, post, later},
		"failed, mail owed":    {arrive, claim, fail1},
		"stopped, mail owed":   {arrive, claim, stop},
		"retried":              {arrive, claim, fail1, retry},
		"adopted with its MP3": {adopt},
	} {
		t.Run(name, func(t *testing.T) {
			j, _ := after(t, steps...)
			if j.RingAt.IsZero() || j.Bell() == "" {
				t.Fatalf("RingAt = %v, Bell = %q: nobody will ever look at this job", j.RingAt, j.Bell())
			}
			if j.RingDue(start) || !j.RingDue(start.Add(rules.Lease+time.Hour)) {
				t.Errorf("RingAt = %v", j.RingAt)
			}
		})
	}
	for name, steps := range map[string][]step{
		"done":               {arrive, claim, commit1, post, sent},
		"mail refused":       {arrive, claim, commit1, post, refused},
		"failed and told so": {arrive, claim, fail1, post, sent},
		"deleted":            {arrive, remove},
		"uploading":          {},
	} {
		t.Run(name, func(t *testing.T) {
			j, _ := after(t, steps...)
			if !j.RingAt.IsZero() || j.Bell() != "" {
				t.Errorf("RingAt = %v, Bell = %q: nobody has anything to do", j.RingAt, j.Bell())
			}
		})
	}
}

func TestRemindersGetRarer(t *testing.T) {
	j, now := after(t, arrive)
	var waits []time.Duration
	for range 7 {
		if err := j.Rung(now, rules, Queued); err != nil {
			t.Fatal(err)
		}
		waits = append(waits, j.RingAt.Sub(now))
		now = j.RingAt
	}
	m := time.Minute
	if diff := cmp.Diff([]time.Duration{10 * m, 20 * m, 40 * m, 80 * m, 120 * m, 120 * m, 120 * m}, waits); diff != "" {
		t.Errorf("waits:\n%s", diff)
	}
	if err := j.Rung(now, rules, Converted); !errors.Is(err, ErrState) {
		t.Errorf("a ring for a state long left was noted: %v", err)
	}
}

func TestRingingDoesNotProlongALease(t *testing.T) {
	j, now := after(t, arrive, claim)
	if err := j.Rung(now, rules, Converting); !errors.Is(err, ErrState) {
		t.Errorf("Rung while converting = %v: RingAt must stay the lease's end", err)
	}
	j, now = after(t, arrive, claim, commit1, post) // the mailer was faster than the converter's note
	if err := j.Rung(now, rules, Converted); !errors.Is(err, ErrState) {
		t.Errorf("Rung while a mailer is at work = %v: RingAt must stay the lease's end", err)
	}
}

func TestARingIsNeverTooEarlyForSlowClocks(t *testing.T) {
	for name, tt := range map[string]struct {
		steps []step
		next  step
	}{
		"after a lease":     {[]step{arrive, claim}, reclaim},
		"after a crash":     {[]step{arrive, claim, crash1}, reclaim},
		"after greylisting": {[]step{arrive, claim, commit1, post, later}, post},
		"after a mailer":    {[]step{arrive, claim, commit1, post}, post},
	} {
		t.Run(name, func(t *testing.T) {
			j, _ := after(t, tt.steps...)
			if err := tt.next(&j, j.RingAt.Add(-rules.Skew)); err != nil {
				t.Errorf("rung for at %v, but a clock %v behind: %v", j.RingAt, rules.Skew, err)
			}
		})
	}
}

func TestWhatCannotBeRungForNowComesLater(t *testing.T) {
	j, _ := after(t, arrive)
	now := j.RingAt
	if err := j.Unrung(now, rules); err != nil || j.RingDue(now) || !j.RingDue(now.Add(rules.RingAfter)) {
		t.Errorf("Unrung = %v, next ring at %v", err, j.RingAt)
	}
	if err := j.Unrung(now, rules); !errors.Is(err, ErrState) {
		t.Errorf("Unrung of a job that is not due = %v", err)
	}
	j, now = after(t, arrive, remove)
	if err := j.Uncleaned(now, rules); err != nil || j.CleanDue(now) || !j.CleanDue(now.Add(rules.RingAfter)) {
		t.Errorf("Uncleaned = %v, next cleaning at %v", err, j.CleanAt)
	}
}

func TestADeadWorkersJobIsNotRungForAtEverySweep(t *testing.T) {
	j, now := after(t, arrive, claim)
	now = now.Add(rules.Lease)
	if err := j.Rung(now, rules, Converting); err != nil || j.RingDue(now.Add(rules.Remind-time.Second)) {
		t.Errorf("Rung after the lease's end = %v, next ring %v later", err, j.RingAt.Sub(now))
	}
}

func TestNobodyWaitsForTheDead(t *testing.T) {
	for name, tt := range map[string]struct {
		steps       []step
		ring, clean time.Duration // due this long after the restart; -1 for never
	}{
		"half an upload":     {nil, -1, 0},
		"queued and rung":    {[]step{arrive, func(j *Job, now time.Time) error { return j.Rung(now, rules, Queued) }}, 0, -1},
		"half a conversion":  {[]step{arrive, claim}, 0, -1},
		"a back-off runs on": {[]step{arrive, claim, crash1}, rules.RetryDelay - time.Second, -1},
		"half a mail":        {[]step{arrive, claim, commit1, post}, 0, -1},
		"done":               {[]step{arrive, claim, commit1, post, sent}, -1, rules.KeepVideo - 3*time.Second}, // counted from the commit
	} {
		t.Run(name, func(t *testing.T) {
			j, now := after(t, tt.steps...)
			j.Orphaned(now)
			if got := until(j.RingAt, now); got != tt.ring {
				t.Errorf("rung for after %v, want %v", got, tt.ring)
			}
			if got := until(j.CleanAt, now); got != tt.clean {
				t.Errorf("cleaned after %v, want %v", got, tt.clean)
			}
			if now.Before(j.LeaseUntil) {
				t.Errorf("a dead worker's lease lives on until %v", j.LeaseUntil)
			}
		})
	}
}

func until(at, now time.Time) time.Duration {
	if at.IsZero() {
		return -1
	}
	return at.Sub(now)
}
