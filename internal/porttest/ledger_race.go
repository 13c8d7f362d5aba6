package porttest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mp3converter/internal/job"
)

// What a ledger must hold against several processes at once: the rules of package job, whoever is first.

// atOnce runs n calls at the same time and returns their errors.
func atOnce(n int, call func(i int) error) []error {
	errs := make([]error, n)
	begin := make(chan struct{})
	var g errgroup.Group
	for i := range n {
		g.Go(func() error {
			<-begin
			errs[i] = call(i)
			return nil
		})
	}
	close(begin)
	_ = g.Wait()
	return errs
}

func ledgerIncrements(t *testing.T, l Ledger) {
	const n = 20
	j := insert(t, l, queuedJob(t))
	errs := atOnce(n, func(int) error {
		_, err := l.Update(t.Context(), j.ID, func(j *job.Job) error { j.Percent++; return nil })
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	j.Percent, j.Version = n, 1+n
	wantJob(t, l, j)
}

func ledgerClaims(t *testing.T, l Ledger) {
	rules := job.DefaultRules()
	for range 3 {
		j := insert(t, l, queuedJob(t))
		errs := atOnce(8, func(i int) error {
			_, err := l.Update(t.Context(), j.ID, func(j *job.Job) error {
				return j.Claim(noon, rules, fmt.Sprint(i), job.NewID(noon))
			})
			return err
		})
		winners := 0
		for i, err := range errs {
			switch {
			case err == nil:
				winners++
				if now, _ := l.Get(t.Context(), j.ID); now.Worker != fmt.Sprint(i) || now.Attempt != 1 || len(now.Tried) != 1 {
					t.Errorf("after the claim of %d the ledger says worker %q, attempt %d, tried %v", i, now.Worker, now.Attempt, now.Tried)
				}
			case !errors.Is(err, job.ErrBusy):
				t.Errorf("Claim of a loser: %v, want job.ErrBusy", err)
			}
		}
		if winners != 1 {
			t.Errorf("%d claims won, want 1", winners)
		}
	}
}

// Whoever is first, the job ends as stopped, and a worker that has claimed it throws its work away.
func ledgerClaimOrStop(t *testing.T, l Ledger) {
	rules := job.DefaultRules()
	for range 10 {
		j := insert(t, l, queuedJob(t))
		mp3 := job.File{ID: job.NewID(noon), Bytes: 5}
		var claimed job.Job
		errs := atOnce(2, func(i int) (err error) {
			if i == 0 {
				_, err = l.Update(t.Context(), j.ID, func(j *job.Job) error { return j.Stop(noon, rules, "") })
				return err
			}
			claimed, err = l.Update(t.Context(), j.ID, func(j *job.Job) error { return j.Claim(noon, rules, "w", mp3.ID) })
			return err
		})
		attempts := 1
		switch claim := errs[1]; {
		case claim == nil:
			attempts = 2
			_, err := l.Update(t.Context(), j.ID, func(j *job.Job) error { return j.Commit(noon, rules, claimed.Attempt, mp3, time.Minute) })
			if !errors.Is(err, job.ErrLost) {
				t.Errorf("Commit of a job that was ended: %v, want job.ErrLost", err)
			}
		case !errors.Is(claim, job.ErrState):
			t.Errorf("Claim = %v, want job.ErrState", claim)
		}
		now, err := l.Get(t.Context(), j.ID)
		if _, left := now.Garbage(); err != nil || errs[0] != nil || now.State != job.Failed || now.Reason != job.ReasonStopped || now.Attempt != attempts || len(left) != attempts-1 {
			t.Errorf("Stop = %v; the job is %s for %q after %d attempts, with garbage %v (%v)", errs[0], now.State, now.Reason, now.Attempt, left, err)
		}
	}
}

func ledgerStale(t *testing.T, l Ledger) {
	rules := job.DefaultRules()
	j := insert(t, l, queuedJob(t))
	claim := func(now time.Time, worker string) (job.Job, error) {
		return l.Update(t.Context(), j.ID, func(j *job.Job) error { return j.Claim(now, rules, worker, job.NewID(now)) })
	}
	commit := func(now time.Time, mine job.Job) error {
		mp3 := job.File{ID: mine.Tried[len(mine.Tried)-1], Bytes: 5}
		_, err := l.Update(t.Context(), j.ID, func(j *job.Job) error { return j.Commit(now, rules, mine.Attempt, mp3, time.Minute) })
		return err
	}
	first, err := claim(noon, "first")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claim(noon.Add(rules.Lease-time.Millisecond), "early"); !errors.Is(err, job.ErrBusy) {
		t.Errorf("Claim under a live lease: %v, want job.ErrBusy", err)
	}
	later := noon.Add(rules.Lease)
	second, err := claim(later, "second")
	if err != nil {
		t.Fatalf("Claim after the lease: %v", err)
	}
	if err := commit(later, first); !errors.Is(err, job.ErrLost) {
		t.Errorf("Commit of the stale attempt: %v, want job.ErrLost", err)
	}
	wantJob(t, l, second)
	if err := commit(later, second); err != nil {
		t.Errorf("Commit of the live attempt: %v", err)
	}
	if err := commit(later, first); !errors.Is(err, job.ErrLost) {
		t.Errorf("Commit of the stale attempt after the live one: %v, want job.ErrLost", err)
	}
	if now, err := l.Get(t.Context(), j.ID); err != nil || now.MP3 != second.Tried[1] || now.State != job.Converted {
		t.Errorf("the job has MP3 %q in state %s (%v), want %q of the live attempt", now.MP3, now.State, err, second.Tried[1])
	}
}

var errNotDue = errors.New("not due for cleaning")

// sweep is the sweeper's first step with an upload it takes for dead.
func sweep(ctx context.Context, l Ledger, id string, now time.Time) error {
	_, err := l.Update(ctx, id, func(j *job.Job) error {
		if !j.CleanDue(now) {
			return errNotDue
		}
		return j.Delete(now)
	})
	return err
}

func ledgerArriveOrSweep(t *testing.T, l Ledger) {
	rules := job.DefaultRules()
	dead := noon.Add(rules.UploadLease)
	for range 10 {
		j := insert(t, l, newJob())
		errs := atOnce(4, func(i int) error {
			if i%2 == 1 {
				return sweep(t.Context(), l, j.ID, dead)
			}
			_, err := l.Update(t.Context(), j.ID, func(j *job.Job) error { return j.Arrived(dead, rules, job.File{ID: j.ID, Name: "a.mp4"}) })
			return err
		})
		want, wins := job.Queued, 0
		for i, err := range errs {
			if err == nil {
				wins++
			}
			if err == nil && i%2 == 1 {
				want = job.Deleted
			}
		}
		if wins != 1 {
			t.Errorf("upload %v %v, sweeper %v %v: want exactly one success", errs[0], errs[2], errs[1], errs[3])
		}
		if now, err := l.Get(t.Context(), j.ID); err != nil || now.State != want {
			t.Errorf("the job is %s (%v), want %s", now.State, err, want)
		}
	}
}

func ledgerLiveOrSweep(t *testing.T, l Ledger) {
	rules := job.DefaultRules()
	late := noon.Add(rules.UploadLease) // the uploader is late, the sweeper already there
	for range 10 {
		j := insert(t, l, newJob())
		errs := atOnce(2, func(i int) error {
			if i == 0 {
				return sweep(t.Context(), l, j.ID, late)
			}
			_, err := l.Update(t.Context(), j.ID, func(j *job.Job) error { return j.StillUploading(late, rules) })
			return err
		})
		swept, live := errs[0], errs[1]
		switch now, err := l.Get(t.Context(), j.ID); {
		case err != nil:
			t.Error(err)
		case swept == nil && errors.Is(live, job.ErrLost) && now.State == job.Deleted:
		case live == nil && errors.Is(swept, errNotDue) && now.State == job.Uploading && now.CleanAt.Equal(late.Add(rules.UploadLease)):
		default:
			t.Errorf("sweeper %v, upload %v, job %s to be cleaned at %v: want exactly one winner", swept, live, now.State, now.CleanAt)
		}
	}
}

// Quotas stand on this: of those who reserve at once, whoever stores last sees all. Jobs that change meanwhile are counted
// all the same, and once.
func ledgerUsageAtOnce(t *testing.T, l Ledger) {
	const rivals = 12
	changing := insert(t, l, queuedJob(t))
	var seen [rivals]job.Usage
	errs := atOnce(rivals+1, func(i int) error {
		if i == rivals {
			for range 10 {
				if _, err := l.Update(t.Context(), changing.ID, func(j *job.Job) error { j.Percent++; return nil }); err != nil {
					return err
				}
			}
			return nil
		}
		j := newJob()
		if err := errors.Join(j.Reserve(1), l.Insert(t.Context(), j)); err != nil {
			return err
		}
		var err error
		seen[i], err = l.Usage(t.Context(), owner)
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	var most job.Usage
	for _, u := range seen {
		if u.Uploads < 1 || u.Reserved < 1 || u.Waiting != 1 || u.Stored != changing.VideoBytes {
			t.Errorf("Usage = %+v", u)
		}
		most.Uploads, most.Reserved = max(most.Uploads, u.Uploads), max(most.Reserved, u.Reserved)
	}
	if most.Uploads != rivals || most.Reserved != rivals {
		t.Errorf("the most that anybody saw is %d uploads and %d bytes, want %d", most.Uploads, most.Reserved, rivals)
	}
}
