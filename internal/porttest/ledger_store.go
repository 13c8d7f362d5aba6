package porttest

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/job"
)

// What a ledger must do as a plain store: insert, get, update, remove, list, due.

func ledgerFields(t *testing.T, l Ledger) {
	for name, j := range map[string]job.Job{"new": newJob(), "queued": queuedJob(t), "with every field": fullJob(t)} {
		want := insert(t, l, j)
		wantJob(t, l, want)
		got, err := l.ByKey(t.Context(), j.Key)
		if err != nil {
			t.Errorf("ByKey of %s job: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ByKey of %s job (-want +got):\n%s", name, diff)
		}
		if got.Created.Location() != time.UTC {
			t.Errorf("Created of %s job is in %v, want UTC", name, got.Created.Location())
		}
	}
}

func ledgerTaken(t *testing.T, l Ledger) {
	first := insert(t, l, queuedJob(t))
	sameID, sameKey := newJob(), newJob()
	sameID.ID, sameKey.Key = first.ID, first.Key
	for name, j := range map[string]job.Job{"id": sameID, "key": sameKey, "id and key": first} {
		if err := l.Insert(t.Context(), j); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Insert with a taken %s: %v, want fs.ErrExist", name, err)
		}
	}
	wantJob(t, l, first)
	if _, err := l.Get(t.Context(), sameKey.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of the refused job: %v, want fs.ErrNotExist", err)
	}
}

func ledgerTakenAtOnce(t *testing.T, l Ledger) {
	const rivals = 10
	var errs [rivals]error
	var g errgroup.Group
	for i := range rivals {
		g.Go(func() error {
			j := newJob()
			j.Key = job.UploadKey(owner, "once")
			errs[i] = l.Insert(t.Context(), j)
			return nil
		})
	}
	_ = g.Wait()
	wins := 0
	for _, err := range errs {
		switch {
		case err == nil:
			wins++
		case !errors.Is(err, fs.ErrExist):
			t.Errorf("Insert of a loser: %v, want fs.ErrExist", err)
		}
	}
	if wins != 1 {
		t.Errorf("%d inserts under one key succeeded, want 1", wins)
	}
}

func ledgerAbsent(t *testing.T, l Ledger) {
	insert(t, l, newJob())
	for _, id := range []string{job.NewID(noon), "", "no id", "$ne"} {
		if _, err := l.Get(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Get(%q): %v, want fs.ErrNotExist", id, err)
		}
		if _, err := l.ByKey(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ByKey(%q): %v, want fs.ErrNotExist", id, err)
		}
		_, err := l.Update(t.Context(), id, func(*job.Job) error {
			t.Errorf("Update(%q) ran change", id)
			return nil
		})
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Update(%q): %v, want fs.ErrNotExist", id, err)
		}
		if err := l.Remove(t.Context(), id); err != nil {
			t.Errorf("Remove(%q): %v, want nil", id, err)
		}
	}
}

func ledgerUpdate(t *testing.T, l Ledger) {
	other, before := insert(t, l, newJob()), insert(t, l, newJob())
	want := fullJob(t)
	want.ID, want.Version = before.ID, 2
	got, err := l.Update(t.Context(), before.ID, func(j *job.Job) error {
		if diff := cmp.Diff(before, *j); diff != "" {
			t.Errorf("change got (-want +got):\n%s", diff)
		}
		*j = want
		j.ID, j.Version = "the ledger's", 99 // not the change's business
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Update returned (-want +got):\n%s", diff)
	}
	wantJob(t, l, want)
	wantJob(t, l, other)

	want = newJob() // and back: what is zero again must read as zero
	want.ID, want.Version = before.ID, 3
	if _, err := l.Update(t.Context(), before.ID, func(j *job.Job) error { *j = want; return nil }); err != nil {
		t.Fatal(err)
	}
	wantJob(t, l, want)
}

func ledgerRefuses(t *testing.T, l Ledger) {
	want := insert(t, l, fullJob(t))
	refusal := errors.New("no")
	got, err := l.Update(t.Context(), want.ID, func(j *job.Job) error {
		j.State, j.Percent = job.Deleted, 99
		j.Tried[0] = "altered in place"
		return refusal
	})
	if err != refusal { //nolint:errorlint // as it is, not wrapped
		t.Errorf("Update = %v, want change's error as it is", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Update returned, not as read (-want +got):\n%s", diff)
	}
	wantJob(t, l, want)
}

func ledgerKeyTaken(t *testing.T, l Ledger) {
	first, second := insert(t, l, newJob()), insert(t, l, newJob())
	take := func(j *job.Job) error { j.Key = first.Key; return nil }
	if _, err := l.Update(t.Context(), second.ID, take); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Update to a taken key: %v, want fs.ErrExist", err)
	}
	wantJob(t, l, second)
	if _, err := l.Update(t.Context(), first.ID, func(j *job.Job) error { return j.Delete(noon) }); err != nil {
		t.Fatal(err)
	}
	third := newJob()
	third.Key = job.UploadKey(owner, "freed")
	insert(t, l, third)
	if _, err := l.Update(t.Context(), third.ID, func(j *job.Job) error { return j.Delete(noon) }); err != nil {
		t.Fatal(err)
	}
	fourth := newJob()
	fourth.Key = third.Key
	insert(t, l, fourth) // Delete has freed it
}

func ledgerRemove(t *testing.T, l Ledger) {
	j, other := insert(t, l, newJob()), insert(t, l, newJob())
	for range 2 {
		if err := l.Remove(t.Context(), j.ID); err != nil {
			t.Errorf("Remove: %v", err)
		}
	}
	if _, err := l.Get(t.Context(), j.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of a removed job: %v, want fs.ErrNotExist", err)
	}
	if _, err := l.ByKey(t.Context(), j.Key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ByKey of a removed job: %v, want fs.ErrNotExist", err)
	}
	wantJob(t, l, other)
	insert(t, l, j)
}

func ledgerList(t *testing.T, l Ledger) {
	var want []job.Job // oldest first
	for i := range 5 {
		j := queuedJob(t)
		j.ID = job.NewID(noon.Add(time.Duration(i) * time.Hour))
		j.Key = job.OwnKey(j.ID)
		want = append(want, j)
	}
	foreign, prefix, uploading, deleted := queuedJob(t), queuedJob(t), newJob(), queuedJob(t)
	foreign.Owner, prefix.Owner = "someone@else.com", owner+".org"
	if err := deleted.Delete(noon); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{3, 0, 4, 1, 2} {
		want[i] = insert(t, l, want[i])
	}
	for _, j := range []job.Job{foreign, prefix, uploading, deleted} {
		insert(t, l, j)
	}
	slices.Reverse(want)
	for _, tt := range []struct {
		owner, before string
		limit         int
		want          []job.Job
	}{
		{owner, "", 100, want},
		{owner, "", 2, want[:2]},
		{owner, want[1].ID, 2, want[2:4]},
		{owner, want[3].ID, 2, want[4:]},
		{owner, want[4].ID, 2, nil},
		{"nobody@else.com", "", 100, nil},
		{"", "", 100, nil},
	} {
		got, err := l.List(t.Context(), tt.owner, tt.before, tt.limit)
		if err != nil {
			t.Errorf("List: %v", err)
		}
		if diff := cmp.Diff(tt.want, got, equateEmpty); diff != "" {
			t.Errorf("List(%q, %q, %d) (-want +got):\n%s", tt.owner, tt.before, tt.limit, diff)
		}
	}
}

// equateEmpty takes nil and empty lists of jobs for equal.
var equateEmpty = cmp.FilterValues(func(a, b []job.Job) bool { return len(a)+len(b) == 0 }, cmp.Comparer(func(_, _ []job.Job) bool { return true }))

// dueJob inserts a job with these times, as minutes after noon; 0 means never.
func dueJob(t *testing.T, l Ledger, ring, clean time.Duration) job.Job {
	t.Helper()
	j := queuedJob(t)
	j.RingAt, j.CleanAt = time.Time{}, time.Time{}
	if ring != 0 {
		j.RingAt = noon.Add(ring)
	}
	if clean != 0 {
		j.CleanAt = noon.Add(clean)
	}
	return insert(t, l, j)
}

func wantDue(t *testing.T, l Ledger, now time.Time, limit int, want ...job.Job) {
	t.Helper()
	got, err := l.Due(t.Context(), now, limit)
	if err != nil {
		t.Errorf("Due: %v", err)
	}
	if diff := cmp.Diff(want, got, equateEmpty); diff != "" {
		t.Errorf("Due at noon%+v, at most %d (-want +got):\n%s", now.Sub(noon), limit, diff)
	}
}

func ledgerByMP3(t *testing.T, l Ledger) {
	converted := func(owner, mp3 string, state job.State) job.Job {
		j := newJob()
		j.Owner, j.MP3, j.State = owner, mp3, state
		return insert(t, l, j)
	}
	mine, shared, deleted := job.NewID(noon), job.NewID(noon), job.NewID(noon)
	insert(t, l, queuedJob(t)) // has none
	want := map[[2]string]job.Job{
		{owner, mine}:              converted(owner, mine, job.Done),
		{owner, shared}:            converted(owner, shared, job.Converted), // two messages of the original may name one MP3
		{"ann@gmail.com", shared}:  converted("ann@gmail.com", shared, job.Done),
		{owner, deleted}:           {},
		{"ann@gmail.com", mine}:    {},
		{owner, job.NewID(noon)}:   {},
		{owner, ""}:                {},
		{owner, "no id"}:           {},
		{"ann@gmail.com", deleted}: {},
	}
	converted(owner, deleted, job.Deleted)
	for ask, want := range want {
		got, err := l.ByMP3(t.Context(), ask[0], ask[1])
		if want.ID == "" {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("ByMP3(%q) = %v, %v, want fs.ErrNotExist", ask, got.ID, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("ByMP3(%q): %v", ask, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ByMP3(%q) (-want +got):\n%s", ask, diff)
		}
	}
	for id, want := range map[string][]job.Job{
		mine:                  {want[[2]string{owner, mine}]},
		shared:                {want[[2]string{owner, shared}], want[[2]string{"ann@gmail.com", shared}]},
		deleted:               nil,
		job.NewID(noon):       nil,
		"":                    nil,
		"no id":               nil,
		`{"$ne": "" }`:        nil,
		strings.ToUpper(mine): nil,
	} {
		got, err := l.AllByMP3(t.Context(), id)
		if err != nil {
			t.Errorf("AllByMP3(%q): %v", id, err)
		}
		byID := func(a, b job.Job) int { return strings.Compare(a.ID, b.ID) }
		slices.SortFunc(got, byID)
		slices.SortFunc(want, byID)
		if diff := cmp.Diff(want, got, equateEmpty); diff != "" {
			t.Errorf("AllByMP3(%q) (-want +got):\n%s", id, diff)
		}
	}
}

func ledgerUsage(t *testing.T, l Ledger) {
	wantUsage := func(who string, want job.Usage) {
		t.Helper()
		got, err := l.Usage(t.Context(), who)
		if err != nil {
			t.Errorf("Usage: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Usage of %s (-want +got):\n%s", who, diff)
		}
	}
	wantUsage(owner, job.Usage{})
	const large = 5 << 30 // more than 32 bits
	for i, state := range append(job.States, job.States...) {
		j := newJob()
		j.State, j.VideoBytes = state, int64(large+i)
		if state == job.Converted || state == job.Done || state == job.Deleted {
			j.MP3Bytes = 1000
		}
		insert(t, l, j)
		j.ID, j.Owner = job.NewID(noon), []string{"ann@gmail.com", owner + ".org", "", "$ne"}[i%4]
		j.Key = job.OwnKey(j.ID)
		insert(t, l, j)
	}
	wantUsage(owner, job.Usage{
		Stored: 10*large + (1 + 2 + 3 + 4 + 5 + 8 + 9 + 10 + 11 + 12) + 4*1000, Reserved: 2*large + 0 + 7, Waiting: 4, Uploads: 2,
	})
	wantUsage("nobody@else.com", job.Usage{})

	one := newJob()
	one.Owner = "one@gmail.com"
	one = insert(t, l, one)
	for _, tt := range []struct {
		change func(j *job.Job) error
		want   job.Usage
	}{
		{func(j *job.Job) error { j.VideoBytes = 9; return nil }, job.Usage{Reserved: 9, Uploads: 1}},
		{func(j *job.Job) error { j.State, j.VideoBytes = job.Queued, 7; return nil }, job.Usage{Stored: 7, Waiting: 1}},
		{func(j *job.Job) error { j.State, j.MP3Bytes = job.Done, 2; return nil }, job.Usage{Stored: 9}},
		{func(j *job.Job) error { return j.Delete(noon) }, job.Usage{}},
	} {
		if _, err := l.Update(t.Context(), one.ID, tt.change); err != nil {
			t.Fatal(err)
		}
		wantUsage(one.Owner, tt.want)
	}
}

func ledgerDue(t *testing.T, l Ledger) {
	const minute = time.Minute
	_ = dueJob(t, l, 0, 0)
	third := dueJob(t, l, -3*minute, 0)
	first := dueJob(t, l, -5*minute, 0)
	second := dueJob(t, l, minute, -4*minute)
	fourth := dueJob(t, l, -minute, -2*minute) // once, though due twice
	fifth := dueJob(t, l, time.Millisecond, 0)
	sixth := dueJob(t, l, 0, 2*time.Millisecond)
	wantDue(t, l, noon, 10, first, second, third, fourth)
	wantDue(t, l, noon.Add(time.Millisecond), 10, first, second, third, fourth, fifth)
	wantDue(t, l, noon.Add(2*time.Millisecond-time.Nanosecond), 10, first, second, third, fourth, fifth)
	wantDue(t, l, noon.Add(2*time.Millisecond), 10, first, second, third, fourth, fifth, sixth)
	wantDue(t, l, noon.Add(-time.Hour), 10)
}

func ledgerDueLimit(t *testing.T, l Ledger) {
	var rings, cleans []job.Job
	for i := range 4 {
		rings = append(rings, dueJob(t, l, -time.Duration(10-2*i)*time.Minute, 0))
		cleans = append(cleans, dueJob(t, l, 0, -time.Duration(9-2*i)*time.Minute))
	}
	wantDue(t, l, noon, 2, rings[0], cleans[0], rings[1], cleans[1])
	wantDue(t, l, noon, 1, rings[0], cleans[0])
}

func ledgerDueCleared(t *testing.T, l Ledger) {
	j := dueJob(t, l, -time.Minute, -time.Minute)
	wantDue(t, l, noon, 10, j)
	done, err := l.Update(t.Context(), j.ID, func(j *job.Job) error {
		j.State, j.RingAt, j.CleanAt = job.Done, time.Time{}, time.Time{}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantDue(t, l, noon.Add(1000*time.Hour), 10)
	wantJob(t, l, done)
}

func ledgerUndated(t *testing.T, l Ledger) {
	want := map[string]bool{}
	for _, state := range job.States {
		for _, dated := range []bool{false, true} {
			j := newJob()
			j.State, j.Dated = state, dated
			insert(t, l, j)
			if !dated && (state == job.Done || state == job.Failed) {
				want[j.ID] = true
			}
		}
	}
	some := func(limit int) []job.Job {
		t.Helper()
		jobs, err := l.Undated(t.Context(), limit)
		if err != nil {
			t.Fatalf("Undated: %v", err)
		}
		return jobs
	}
	if n := len(some(1)); n != 1 {
		t.Errorf("Undated, at most 1, are %d", n)
	}
	if n := len(some(0)); n != 0 {
		t.Errorf("Undated, at most 0, are %d", n)
	}
	got := map[string]bool{}
	for _, j := range some(10) {
		got[j.ID] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Undated (-want +got):\n%s", diff)
	}
	for id := range want {
		if _, err := l.Update(t.Context(), id, func(j *job.Job) error { return j.Date(noon, job.DefaultRules()) }); err != nil {
			t.Fatal(err)
		}
	}
	if rest := some(10); len(rest) > 0 {
		t.Errorf("after all were dated, %d are not", len(rest))
	}
}

func ledgerCancelled(t *testing.T, l Ledger) {
	j, late := insert(t, l, queuedJob(t)), queuedJob(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Insert":  func() error { return l.Insert(ctx, late) },
		"Get":     func() error { _, err := l.Get(ctx, j.ID); return err },
		"ByKey":   func() error { _, err := l.ByKey(ctx, j.Key); return err },
		"ByMP3":   func() error { _, err := l.ByMP3(ctx, owner, j.ID); return err },
		"Undated": func() error { _, err := l.Undated(ctx, 1); return err },
		"All":     func() error { _, err := l.AllByMP3(ctx, j.ID); return err },
		"Update": func() error {
			_, err := l.Update(ctx, j.ID, func(j *job.Job) error { j.Percent++; return nil })
			return err
		},
		"Remove": func() error { return l.Remove(ctx, j.ID) },
		"Find":   func() error { _, err := l.Find(ctx, owner, job.Filter{}, "", 1); return err },
		"List":   func() error { _, err := l.List(ctx, owner, "", 1); return err },
		"Usage":  func() error { _, err := l.Usage(ctx, owner); return err },
		"Due":    func() error { _, err := l.Due(ctx, noon, 1); return err },
	} {
		if err := call(); err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			t.Errorf("%s after the context's end: %v, want the context's error", name, err)
		}
	}
	wantJob(t, l, j)
	if _, err := l.Get(t.Context(), late.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of the job not inserted: %v", err)
	}
}

func ledgerUntold(t *testing.T, l Ledger) {
	var want []job.Job
	for _, minutes := range []int{2, 1, 3, 9} {
		j := queuedJob(t)
		j.TellAt = noon.Add(time.Duration(minutes) * time.Minute)
		want = append(want, insert(t, l, j))
	}
	told, err := l.Update(t.Context(), insert(t, l, fullJob(t)).ID, func(j *job.Job) error { j.TellAt = time.Time{}; return nil })
	if err != nil {
		t.Fatal(err)
	}
	want = []job.Job{want[1], want[0], want[2]}
	for _, limit := range []int{10, 2, 0} {
		got, err := l.Untold(t.Context(), noon.Add(3*time.Minute), limit)
		if diff := cmp.Diff(want[:min(limit, len(want))], got, equateEmpty); err != nil || diff != "" {
			t.Errorf("Untold, at most %d: %v\n%s", limit, err, diff)
		}
	}
	wantJob(t, l, told)
}
