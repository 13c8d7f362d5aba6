package gateway_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

func (r *rig) ago(d time.Duration) time.Time { return time.Now().Add(-d) }

func TestTheSweeperRings(t *testing.T) {
	t.Parallel()
	r := start(t)
	queued := func(age time.Duration) job.Job {
		id := job.NewID(r.ago(age))
		return r.insert(job.Adopt(r.ago(age), r.rules, job.Message{Video: id, Username: sid}, job.File{ID: id}))
	}
	claimed := func(age time.Duration) job.Job {
		j := queued(age)
		return r.update(j.ID, func(j *job.Job) error { return j.Claim(r.ago(age), r.rules, "worker", job.NewID(r.ago(age))) })
	}
	converted := func(age time.Duration) job.Job {
		j := claimed(age)
		return r.update(j.ID, func(j *job.Job) error {
			return j.Commit(r.ago(age), r.rules, 1, job.File{ID: j.Tried[0], Bytes: 1}, time.Second)
		})
	}
	failed := func(age time.Duration) job.Job {
		j := claimed(age)
		return r.update(j.ID, func(j *job.Job) error { return j.Fail(r.ago(age), r.rules, 1, job.ReasonNoAudio, "") })
	}
	for name, tt := range map[string]struct {
		job  job.Job
		want int
	}{
		"a job nobody was rung for":               {queued(time.Minute), 1},
		"one that was made just now":              {queued(0), 0},
		"one whose worker has died":               {claimed(2 * time.Minute), 1},
		"one whose worker is at it":               {claimed(time.Minute), 0},
		"one whose mail nobody was rung for":      {converted(time.Minute), 1},
		"a failed one whose mail nobody ...":      {failed(time.Minute), 1},
		"one whose mail is about to be rung for":  {converted(0), 0},
		"one that is waiting for its next try":    {r.update(claimed(time.Minute).ID, func(j *job.Job) error { return j.Crashed(time.Now(), r.rules, 1, "") }), 0},
		"one that has waited for it long enough":  {r.update(claimed(time.Minute).ID, func(j *job.Job) error { return j.Crashed(r.ago(time.Minute), r.rules, 1, "") }), 1},
		"one that nobody has come for in an hour": {r.update(queued(time.Hour).ID, func(j *job.Job) error { return j.Rung(r.ago(time.Hour), r.rules, job.Queued) }), 1},
		"one that was rung for a minute ago":      {r.update(queued(time.Hour).ID, func(j *job.Job) error { return j.Rung(r.ago(time.Minute), r.rules, job.Queued) }), 0},
	} {
		for range 3 { // it notes what it has rung
			r.must(r.service.SweepOnce(t.Context()))
		}
		if n := r.rings(tt.job.ID); n != tt.want {
			t.Errorf("%s: rung %d times, want %d: %+v", name, n, tt.want, tt.job)
		}
	}
	if n := r.gauge("sweeper_rung_total"); int(n) != len(r.rung) || n == 0 {
		t.Errorf("sweeper_rung_total = %v, rung %d", n, len(r.rung))
	}
	if r.gauge("sweeper_last_run_seconds") < 1e9 {
		t.Error("sweeper_last_run_seconds is not set")
	}
}

// A list is old when its turn comes: what is not cleaned does not count as cleaned, nor as a failure.
func TestAnUploadThatLivesAgainIsNotCleaned(t *testing.T) {
	t.Parallel()
	var listed job.Job
	r := start(t, func(r *rig, cfg *gateway.Config) { cfg.Ledger = outdated{r.ledger, &listed} })
	long := 2 * time.Hour
	listed = job.New(r.ago(long), r.rules, job.NewID(r.ago(long)), sid)
	alive := listed
	alive.LeaseUntil = time.Now().Add(long)
	alive.CleanAt = alive.LeaseUntil
	r.insert(alive)
	r.must(r.service.SweepOnce(t.Context()))
	if j := r.job(listed.ID); j.State != job.Uploading {
		t.Errorf("it is %s", j.State)
	}
	for _, counter := range []string{"sweeper_cleaned_total", "sweeper_failures_total"} {
		if n := r.gauge(counter); n != 0 {
			t.Errorf("%s = %v, want 0", counter, n)
		}
	}
}

// outdated is a ledger that lists a job as it was.
type outdated struct {
	gateway.Ledger
	was *job.Job
}

func (o outdated) Due(context.Context, time.Time, int) ([]job.Job, error) {
	return []job.Job{*o.was}, nil
}

func TestTheSweeperCleans(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.Rules.RingAfter = time.Hour })
	long := 2 * time.Hour

	dead := r.insert(job.New(r.ago(long), r.rules, job.NewID(r.ago(long)), sid))
	r.put(r.videos, dead.ID, "stored, not committed")
	alive := r.insert(job.New(time.Now(), r.rules, job.NewID(time.Now()), sid))
	r.put(r.videos, alive.ID, "about to be committed")

	tried := r.upload("video") // converted by its second attempt
	first := r.claim(tried.ID)
	r.put(r.mp3s, first, "sound of a lost attempt")
	r.update(tried.ID, func(j *job.Job) error { return j.Release(time.Now(), r.rules, 1, 0, "stopped") })
	second := r.claim(tried.ID)
	sound := r.put(r.mp3s, second, "sound")
	r.update(tried.ID, func(j *job.Job) error { return j.Commit(r.ago(long), r.rules, 2, sound, time.Second) })

	lately := r.upload("video") // the same, but the first attempt's worker may still be asleep
	asleep := r.claim(lately.ID)
	r.put(r.mp3s, asleep, "sound of a lost attempt")
	r.update(lately.ID, func(j *job.Job) error { return j.Release(time.Now(), r.rules, 1, 0, "stopped") })
	awake := r.claim(lately.ID)
	sound = r.put(r.mp3s, awake, "sound")
	r.update(lately.ID, func(j *job.Job) error { return j.Commit(time.Now(), r.rules, 2, sound, time.Second) })

	deleted := r.convert(r.upload("video").ID, "sound")
	r.update(deleted.ID, func(j *job.Job) error { return j.Delete(time.Now()) })

	r.must(r.service.SweepOnce(t.Context()))
	for name, tt := range map[string]struct {
		got, want string
	}{
		"a dead upload's video":      {r.content(r.videos, dead.ID), ""},
		"a running upload's video":   {r.content(r.videos, alive.ID), "about to be committed"},
		"a lost attempt's mp3":       {r.content(r.mp3s, first), ""},
		"the mp3 that counts":        {r.content(r.mp3s, second), "sound"},
		"its video":                  {r.content(r.videos, tried.ID), "video"},
		"an mp3 that may be written": {r.content(r.mp3s, asleep), "sound of a lost attempt"},
		"a deleted job's video":      {r.content(r.videos, deleted.ID), ""},
		"a deleted job's mp3":        {r.content(r.mp3s, deleted.MP3), ""},
		"the dead upload":            {string(r.job(dead.ID).State), "deleted"},
		"the running upload":         {string(r.job(alive.ID).State), "uploading"},
		"the job":                    {string(r.job(tried.ID).State), "converted"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", name, tt.got, tt.want)
		}
	}
	if j := r.job(tried.ID); !slices.Equal(j.Tried, []string{second}) || !j.CleanAt.IsZero() {
		t.Errorf("the job still names garbage: %q, to be cleaned at %v", j.Tried, j.CleanAt)
	}
	if n := r.gauge("sweeper_cleaned_total"); n != 3 {
		t.Errorf("sweeper_cleaned_total = %v, want 3", n)
	}
	before := r.job(deleted.ID)
	r.must(r.service.SweepOnce(t.Context()))
	if j := r.job(deleted.ID); j.Version != before.Version {
		t.Error("a deleted job is cleaned again before its time")
	}
	r.update(deleted.ID, func(j *job.Job) error { j.CleanAt = r.ago(time.Second); return nil })
	r.must(r.service.SweepOnce(t.Context()))
	if jobs := r.all(); slices.Contains(jobs, "deleted "+deleted.ID) {
		t.Error("the deleted job is still there")
	}
}

// Several sweepers at once do what one does, and a deleted job is cleaned twice all the same.
func TestSweepersDoNotStepOnEachOther(t *testing.T) {
	t.Parallel()
	r := start(t)
	for range 10 {
		j := r.convert(r.upload("video").ID, "sound")
		r.update(j.ID, func(j *job.Job) error { return j.Delete(time.Now()) })
	}
	var g errgroup.Group
	for range 4 {
		g.Go(func() error { return r.service.SweepOnce(t.Context()) })
	}
	r.must(g.Wait())
	jobs, err := r.ledger.Due(t.Context(), time.Now().Add(2*r.rules.CleanAfter), 100)
	r.must(err)
	if len(jobs) != 10 {
		t.Errorf("%d of 10 deleted jobs wait for their second cleaning", len(jobs))
	}
	for _, j := range jobs {
		if j.Cleanings != 1 {
			t.Errorf("job %s was cleaned %d times", j.ID, j.Cleanings)
		}
	}
}

// An upload may give a sign of life after it was listed as dead.
func TestAnUploadThatIsRenewedBesideTheSweeper(t *testing.T) {
	t.Parallel()
	var id string
	r := start(t, func(r *rig, cfg *gateway.Config) {
		cfg.Ledger = ledger{r.ledger, func(op string, call func() error) error {
			err := call()
			if op == "due" {
				r.update(id, func(j *job.Job) error { return j.StillUploading(time.Now(), r.rules) })
			}
			return err
		}}
	})
	id = r.insert(job.New(r.ago(time.Hour), r.rules, job.NewID(time.Now()), sid)).ID
	r.put(r.videos, id, "video")
	r.must(r.service.SweepOnce(t.Context()))
	if j := r.job(id); j.State != job.Uploading || r.content(r.videos, id) != "video" {
		t.Errorf("job = %+v", j)
	}
}

func TestTheSweeperStopsWhenTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	r := start(t, hasty, func(_ *rig, cfg *gateway.Config) {
		cfg.Ring = func(context.Context, job.Job) error { tries.Add(1); return errDown }
	})
	for range 20 {
		r.insert(r.queued())
	}
	dead := r.insert(job.New(r.ago(time.Hour), r.rules, job.NewID(time.Now()), sid))
	if err := r.service.SweepOnce(t.Context()); !errors.Is(err, errDown) || strings.Count(err.Error(), "refused") != 1 {
		t.Errorf("SweepOnce = %v, want what the broker says, once", err)
	}
	if n := tries.Load(); n != 3 {
		t.Errorf("%d tries, want 3", n)
	}
	if j := r.job(dead.ID); j.State != job.Deleted {
		t.Errorf("what needs no broker was not done: %+v", j)
	}
}

func TestOneJobThatCannotBeRungForDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	var bad string
	r := start(t, hasty, func(r *rig, cfg *gateway.Config) {
		cfg.Ring = func(ctx context.Context, j job.Job) error {
			if j.ID == bad {
				return errDown
			}
			return r.ring(ctx, j)
		}
	})
	bad = r.insert(r.queued()).ID
	good := r.insert(r.queued())
	_ = r.service.SweepOnce(t.Context())
	if r.rings(good.ID) != 1 {
		t.Error("the other job was not rung for")
	}
}

func TestABellOutOfOrderDoesNotHoldUpTheOther(t *testing.T) {
	t.Parallel()
	r := start(t, hasty, func(r *rig, cfg *gateway.Config) {
		cfg.Ring = func(ctx context.Context, j job.Job) error {
			if j.Bell() == job.ForMailer {
				return errDown
			}
			return r.ring(ctx, j)
		}
	})
	mails := map[string]time.Time{}
	for range 5 {
		j := r.insert(r.queued())
		mails[j.ID] = r.fail(j.ID).RingAt
	}
	video := r.insert(r.queued())
	r.eventually("all is due", func() bool {
		due, err := r.ledger.Due(t.Context(), time.Now(), 10)
		return err == nil && len(due) == 6
	})
	_ = r.service.SweepOnce(t.Context())
	if r.rings(video.ID) != 1 {
		t.Error("the video was not rung for")
	}
	later := 0
	for id, before := range mails {
		if r.job(id).RingAt.After(before) {
			later++
		}
	}
	if later != 3 {
		t.Errorf("%d mails were put off, want the 3 that were tried: the others' turn is next", later)
	}
}

func TestStoresThatFailTheSweeper(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]around{
		"no list":               instead("due", 1),
		"no deletion":           instead("delete", 1),
		"no burial":             instead("update", 1),
		"buried, but":           after("update", 1),
		"no note":               instead("update", 2),
		"noted, but":            after("update", 2),
		"not forgotten":         instead("remove", 1),
		"forgotten, but":        after("remove", 1),
		"a deletion, but":       after("delete", 1),
		"no note the next time": instead("update", 3),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, hasty, broken(fault))
			dead := r.insert(job.New(r.ago(time.Hour), r.rules, job.NewID(time.Now()), sid))
			r.put(r.videos, dead.ID, "video")
			failures := 0
			for range 4 {
				if err := r.service.SweepOnce(t.Context()); err != nil {
					failures++
				}
			}
			if failures != 1 || r.gauge("sweeper_failures_total") != 1 {
				t.Errorf("%d sweeps failed, want 1", failures)
			}
			r.wantNothing()
		})
	}
}

func TestSweepingGoesOnUntilItIsStopped(t *testing.T) {
	t.Parallel()
	var sweeps atomic.Int32
	r := start(t, func(r *rig, cfg *gateway.Config) {
		cfg.SweepEvery = time.Millisecond
		cfg.Ledger = ledger{r.ledger, func(op string, call func() error) error {
			if op == "due" && sweeps.Add(1) == 2 {
				return errDown
			}
			return call()
		}}
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.service.Sweep(ctx) }()
	r.eventually("it sweeps on after a failure", func() bool { return sweeps.Load() > 5 })
	stop()
	if err := <-done; err != nil {
		t.Errorf("Sweep = %v", err)
	}
}

// What is left of a long list is seen to after a tenth of the usual pause; without that the test's patience is over before.
func TestALongListIsSweptInOneGo(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.SweepEvery = 3 * wait / 2 })
	for range 150 {
		id := job.NewID(r.ago(time.Hour))
		r.insert(job.Adopt(r.ago(time.Hour), r.rules, job.Message{Video: id, Username: sid}, job.File{ID: id}))
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.service.Sweep(ctx) }()
	r.eventually("all are rung for", func() bool { return r.gauge("sweeper_rung_total") == 150 })
	stop()
	<-done
}
