package porttest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
)

// wantChanges checks what has changed of somebody since then: the given jobs, all stored between since and now.
func wantChanges(t *testing.T, l Ledger, who string, since time.Time, want ...job.Job) []job.Change {
	t.Helper()
	got, err := l.Changes(t.Context(), who, since, 100)
	if err != nil {
		t.Fatalf("Changes: %v", err)
	}
	jobs, last := map[string]job.Job{}, since.Truncate(time.Millisecond)
	for _, c := range got {
		jobs[c.Job.ID] = c.Job
		if c.At.Before(last) || c.At.After(time.Now()) || c.At.Location() != time.UTC {
			t.Errorf("job %s was stored at %v, after one at %v", c.Job.ID, c.At, last)
		}
		last = c.At
	}
	wanted := map[string]job.Job{}
	for _, j := range want {
		wanted[j.ID] = j
	}
	if diff := cmp.Diff(wanted, jobs); diff != "" || len(got) != len(want) {
		t.Errorf("%d changes of %s (-want +got):\n%s", len(got), who, diff)
	}
	return got
}

func ledgerChanges(t *testing.T, l Ledger) {
	start := time.Now()
	later := func() time.Time { // a moment that nothing stored before is in
		now := time.Now()
		for !time.Now().Truncate(time.Millisecond).After(now) {
			time.Sleep(time.Millisecond)
		}
		return time.Now()
	}
	update := func(id string, change func(*job.Job) error) job.Job {
		t.Helper()
		j, err := l.Update(t.Context(), id, change)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	uploading := insert(t, l, newJob())
	foreign := queuedJob(t)
	foreign.Owner = owner + ".org"
	foreign = insert(t, l, foreign)
	a, b, c := insert(t, l, queuedJob(t)), insert(t, l, queuedJob(t)), insert(t, l, fullJob(t))
	wantChanges(t, l, owner, start, a, b)
	wantChanges(t, l, foreign.Owner, start, foreign)
	wantChanges(t, l, c.Owner, start, c)
	wantChanges(t, l, "nobody@else.com", start)

	then := later()
	update(uploading.ID, func(j *job.Job) error { return j.StillUploading(noon, job.DefaultRules()) })
	wantChanges(t, l, owner, then)
	b = update(b.ID, func(j *job.Job) error { return j.Claim(noon, job.DefaultRules(), "w", job.NewID(noon)) })
	wantChanges(t, l, owner, then, b)
	last := later()
	a = update(a.ID, func(j *job.Job) error { return j.Delete(noon) })
	wantChanges(t, l, owner, last, a)
	got := wantChanges(t, l, owner, then, b, a)
	if got[0].Job.ID != b.ID {
		t.Error("the last change is the first")
	}
	wantChanges(t, l, owner, got[1].At, a) // at since is since

	for limit, want := range map[int]int{0: 0, 1: 1, 2: 2, 3: 2} {
		got, err := l.Changes(t.Context(), owner, start, limit)
		if err != nil || len(got) != want || want > 0 && got[0].Job.ID != b.ID {
			t.Errorf("at most %d changes: %v, %v", limit, got, err)
		}
	}
	if err := l.Remove(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	wantChanges(t, l, owner, start, a)
}
