package porttest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
)

func ledgerInState(t *testing.T, l Ledger) {
	var failed []string // newest first
	for i := range 3 {
		j := job.New(noon, job.DefaultRules(), job.NewID(noon.Add(time.Duration(i)*time.Hour)), "somebody@example.com")
		if err := j.Arrived(noon, job.DefaultRules(), job.File{ID: j.ID}); err != nil {
			t.Fatal(err)
		}
		j = insert(t, l, j)
		if i == 1 {
			continue
		}
		if _, err := l.Update(t.Context(), j.ID, func(j *job.Job) error { return j.Stop(noon, job.DefaultRules(), "") }); err != nil {
			t.Fatal(err)
		}
		failed = append([]string{j.ID}, failed...)
	}
	for name, tt := range map[string]struct {
		state  job.State
		before string
		limit  int
		want   []string
	}{
		"all": {job.Failed, "", 10, failed}, "one": {job.Failed, "", 1, failed[:1]}, "older": {job.Failed, failed[0], 10, failed[1:]},
		"none": {job.Failed, "", 0, nil}, "of another state": {job.Done, "", 10, nil},
	} {
		jobs, err := l.InState(t.Context(), tt.state, tt.before, tt.limit)
		got := idsOf(jobs)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		if tt.before != "" {
			continue
		}
		slices.Reverse(got)
		if tt.limit == 1 {
			got = failed[1:]
		}
		jobs, err = l.Oldest(t.Context(), tt.state, tt.limit)
		if diff := cmp.Diff(got, idsOf(jobs)); diff != "" || err != nil {
			t.Errorf("the oldest, %s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func idsOf(jobs []job.Job) (ids []string) {
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

func ledgerBacklog(t *testing.T, l Ledger) {
	want := func(queued, converting, converted int, oldest time.Time) {
		t.Helper()
		got, err := l.Backlog(t.Context())
		if err != nil {
			t.Errorf("Backlog: %v", err)
		}
		backlog := job.Backlog{
			Jobs: map[job.State]int{job.Queued: queued, job.Converting: converting, job.Converted: converted}, Oldest: oldest,
		}
		if diff := cmp.Diff(backlog, got); diff != "" {
			t.Errorf("Backlog (-want +got):\n%s", diff)
		}
	}
	arrived := func(after time.Duration) job.Job {
		j := newJob()
		if err := j.Arrived(noon.Add(after), job.DefaultRules(), job.File{ID: j.ID}); err != nil {
			t.Fatal(err)
		}
		return insert(t, l, j)
	}
	change := func(j job.Job, do func(*job.Job) error) job.Job {
		t.Helper()
		j, err := l.Update(t.Context(), j.ID, do)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	rules, mp3 := job.DefaultRules(), job.NewID(noon)
	want(0, 0, 0, time.Time{})
	insert(t, l, newJob()) // an upload: nobody can do anything yet
	want(0, 0, 0, time.Time{})
	late, early := arrived(time.Hour), arrived(time.Millisecond)
	want(2, 0, 0, noon.Add(time.Millisecond))
	early = change(early, func(j *job.Job) error { return j.Claim(noon.Add(time.Minute), rules, "w", mp3) })
	want(1, 1, 0, noon.Add(time.Millisecond))
	early = change(early, func(j *job.Job) error { return j.Crashed(noon.Add(time.Minute), rules, 1, "?") })
	want(2, 0, 0, noon.Add(time.Millisecond)) // its owner has waited for all that time
	early = change(early, func(j *job.Job) error { return j.Claim(noon.Add(time.Hour), rules, "w", mp3) })
	change(early, func(j *job.Job) error { return j.Commit(noon.Add(time.Hour), rules, 2, job.File{ID: mp3}, 1) })
	want(1, 0, 1, noon.Add(time.Hour))
	late = change(late, func(j *job.Job) error { return j.Stop(noon.Add(2*time.Hour), rules, "") })
	want(0, 0, 1, time.Time{})
	late = change(late, func(j *job.Job) error { return j.Retry(noon.Add(3*time.Hour), rules) })
	want(1, 0, 1, noon.Add(3*time.Hour))
	change(late, func(j *job.Job) error { return j.Delete(noon.Add(3 * time.Hour)) })
	want(0, 0, 1, time.Time{})
}
