package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

// sweep has time pass for the sweeper, twice: a deleted job is cleaned again later.
func (r *rig) sweep() {
	r.Helper()
	for range 2 {
		r.must(r.service.SweepOnce(r.Context()))
	}
}

// hasty has the sweeper wait for nothing.
func hasty(_ *rig, cfg *gateway.Config) {
	cfg.Rules.CleanAfter, cfg.Rules.UploadLease, cfg.Rules.RingAfter = 0, 0, 0
}

func TestAStoreThatFailsDuringAnUpload(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault around
		keyed bool
		ok    bool // else nothing is left
		swept bool // but only after the sweeper
	}{
		"at the look for the key":               {fault: instead("by key", 1), keyed: true},
		"at the announcement":                   {fault: instead("insert", 1)},
		"after the announcement":                {fault: after("insert", 1), swept: true},
		"at the video":                          {fault: instead("put", 1)},
		"after the video":                       {fault: after("put", 1)},
		"at the video, and at cleaning up":      {fault: both(after("put", 1), instead("delete", 1)), swept: true},
		"at the video, and at forgetting it":    {fault: both(after("put", 1), instead("remove", 1)), swept: true},
		"at the commit":                         {fault: instead("update", 1)},
		"at the commit, and once more":          {fault: both(instead("update", 1), instead("update", 2))},
		"at the commit, and after the deletion": {fault: both(instead("update", 1), after("update", 2))},
		"after the commit":                      {fault: after("update", 1), ok: true},
		"after the commit, and once more":       {fault: both(after("update", 1), instead("update", 2)), ok: true},
		"within the commit, which is repeated":  {fault: twice("update"), ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, broken(tt.fault), func(_ *rig, cfg *gateway.Config) { cfg.Rules.CleanAfter = 0 })
			q := request{path: "/upload", form: file("video")}
			if tt.keyed {
				q.header = http.Header{"Idempotency-Key": {"k"}}
			}
			a := r.do(q)
			if tt.ok {
				r.want(a, 200, "success!")
				id := strings.TrimPrefix(a.header.Get("Location"), "/jobs/")
				if j := r.job(id); j.State != job.Queued || r.content(r.videos, id) != "video" || r.rings(id) != 1 {
					t.Errorf("job = %+v, rung %d times", j, r.rings(id))
				}
				return
			}
			r.wantProblem(a, 503, "try again")
			if a.header.Get("Retry-After") == "" || strings.Contains(a.body, "10.0.0.7") {
				t.Errorf("answer = %v %q", a.header, a.body)
			}
			if tt.swept {
				r.expire()
				r.sweep()
			}
			r.wantNothing()
		})
	}
}

// A store that has not answered may write the pieces after they were removed: somebody must know of them then.
func TestPiecesThatComeAfterTheirUploadHasFailed(t *testing.T) {
	t.Parallel()
	var id string
	r := start(t, hasty, func(r *rig, cfg *gateway.Config) {
		cfg.Videos = late{r.videos, &id}
	})
	r.wantProblem(r.do(request{path: "/upload", form: file("video")}), 503, "try again")
	_, err := r.videos.Put(t.Context(), job.File{ID: id, Job: id}, strings.NewReader("video"))
	r.must(err)
	r.sweep()
	r.wantNothing()
}

// late is a store that does not say what becomes of a file.
type late struct {
	gateway.Files
	id *string
}

func (l late) Put(_ context.Context, f job.File, r io.Reader) (job.File, error) {
	*l.id = f.ID
	_, err := io.Copy(io.Discard, r)
	return job.File{}, errors.Join(err, job.ErrUnsettled, errDown)
}

// expire has the leases of all uploads run out.
func (r *rig) expire() {
	r.Helper()
	for _, j := range r.all() {
		if id, ok := strings.CutPrefix(j, "uploading "); ok {
			r.update(id, func(j *job.Job) error { j.CleanAt = time.Now().Add(-time.Second); return nil })
		}
	}
}

// When the ledger is away for long, nobody knows whether the commit has happened. Then nothing may be removed, and nothing
// be said: that the upload was refused might be a lie.
func TestACommitInDoubt(t *testing.T) {
	t.Parallel()
	for name, happened := range map[string]bool{"it has happened": true, "it has not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var up atomic.Bool
			r := start(t, hasty, func(r *rig, cfg *gateway.Config) {
				cfg.Ledger = doubtful{r.ledger, happened, &up}
			})
			if a, err := r.try(request{path: "/upload", form: file("video")}); err == nil {
				t.Errorf("answer = %d %q, want a broken connection", a.status, a.body)
			}
			jobs := r.all()
			if len(jobs) != 1 {
				t.Fatalf("jobs = %q", jobs)
			}
			_, id, _ := strings.Cut(jobs[0], " ")
			if r.content(r.videos, id) != "video" {
				t.Error("the video was removed")
			}
			up.Store(true)
			r.sweep()
			if happened && (r.job(id).State != job.Queued || r.rings(id) == 0) {
				t.Errorf("job = %+v", r.job(id))
			}
			if !happened {
				r.wantNothing()
			}
		})
	}
}

// A ledger that was never asked leaves no doubt, however long it is away.
func TestACommitThatWasNeverAskedForIsRefused(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	r := start(t, hasty, broken(func(op string, call func() error) error {
		if op == "insert" || op == "put" || up.Load() {
			return call()
		}
		return errDown
	}))
	r.wantProblem(r.do(request{path: "/upload", form: file("video")}), 503, "try again")
	up.Store(true)
	r.sweep()
	r.wantNothing()
}

func TestABrokerThatIsAway(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	for name, ring := range map[string]func(context.Context) error{
		"refuses": func(context.Context) error { return errDown },
		"hangs":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			up.Store(false)
			r := start(t, hasty, func(r *rig, cfg *gateway.Config) {
				cfg.Ring = func(ctx context.Context, j job.Job) error {
					if up.Load() {
						return r.ring(ctx, j)
					}
					return ring(ctx)
				}
			})
			j := r.upload("video")
			if name == "refuses" {
				if err := r.service.SweepOnce(t.Context()); !errors.Is(err, errDown) {
					t.Errorf("SweepOnce = %v, want what the broker says", err)
				}
			}
			up.Store(true)
			r.sweep()
			if n := r.rings(j.ID); n != 1 {
				t.Errorf("rung %d times", n)
			}
		})
	}
}

func TestAnUploadThatWasTakenForDeadIsNotAccepted(t *testing.T) {
	t.Parallel()
	for name, lease := range map[string]time.Duration{
		"and learns it at its next renewal": 30 * time.Millisecond,
		"and learns it at its commit":       time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.Rules.UploadLease, cfg.Rules.CleanAfter = lease, 0 })
			q, out := slowly(request{})
			a := r.async(q)
			_, err := io.WriteString(out, opening+"vid")
			r.must(err)
			r.eventually("the upload is announced", func() bool { return len(r.all()) == 1 })
			id := strings.TrimPrefix(r.all()[0], "uploading ")
			r.update(id, func(j *job.Job) error { return j.Delete(time.Now()) }) // as another gateway's sweeper does
			if lease == time.Hour {
				_, err = io.WriteString(out, "eo"+closing)
				r.must(err)
				r.must(out.Close())
			}
			r.wantProblem(r.until(a, out), 503, "try again")
			r.sweep()
			r.wantNothing()
		})
	}
}

// until sends on and on until there is an answer.
func (r *rig) until(a <-chan answer, out *io.PipeWriter) answer {
	r.Helper()
	var sending sync.WaitGroup
	sending.Go(func() {
		for err := error(nil); err == nil; {
			_, err = io.WriteString(out, "video")
		}
	})
	defer sending.Wait()
	defer out.Close()
	select {
	case got := <-a:
		return got
	case <-time.After(wait):
		r.Error("no answer")
		return answer{}
	}
}

// A commit that is on its way while the upload is given up must not arrive after all.
func TestACommitThatComesLate(t *testing.T) {
	t.Parallel()
	var late *overtaken
	r := start(t, func(r *rig, cfg *gateway.Config) {
		cfg.Rules.CleanAfter = 0
		late = &overtaken{Ledger: r.ledger}
		cfg.Ledger = ledger{late, func(op string, call func() error) error {
			if op == "remove" && !late.arrived {
				late.arrive(t.Context())
				return errDown
			}
			return call()
		}}
	})
	r.wantProblem(r.do(request{path: "/upload", form: file("video")}), 503, "try again")
	r.sweep()
	r.wantNothing()
}

// Whatever the timing, an upload is either accepted and whole, or refused and gone.
func TestSweepersAndUploadsNeverHurtEachOther(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) {
		cfg.Rules.UploadLease, cfg.Rules.CleanAfter = 4*time.Millisecond, 0 // shorter than many an upload takes
	})
	ctx, stop := context.WithCancel(t.Context())
	var sweepers sync.WaitGroup
	for range 2 {
		sweepers.Go(func() {
			for ctx.Err() == nil {
				if err := r.service.SweepOnce(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	var g errgroup.Group
	var accepted, refused atomic.Int32
	for i := range 4 {
		g.Go(func() error {
			for n := range 8 {
				content := strings.Repeat(fmt.Sprintf("%d.%d ", i, n), 50_000)
				a, err := r.try(request{path: "/upload", form: file(content)})
				switch {
				case err != nil:
					return err
				case a.status == 503:
					refused.Add(1)
				case a.status == 200:
					accepted.Add(1)
					id := strings.TrimPrefix(a.header.Get("Location"), "/jobs/")
					if r.content(r.videos, id) != content {
						return fmt.Errorf("video %s, which was accepted, is gone", id)
					}
				default:
					return fmt.Errorf("answer = %d %s", a.status, a.body)
				}
			}
			return nil
		})
	}
	r.must(g.Wait())
	stop()
	sweepers.Wait()
	r.eventually("what was refused is gone", func() bool {
		r.must(r.service.SweepOnce(t.Context()))
		return len(r.all()) == int(accepted.Load())
	})
	if files := len(r.stored()); files != 2*int(accepted.Load()) {
		t.Errorf("%d files of %d accepted uploads", files, accepted.Load())
	}
	t.Logf("%d accepted, %d refused", accepted.Load(), refused.Load())
}

func TestStoresThatAreAwayAreNobodysFault(t *testing.T) {
	t.Parallel()
	r := start(t, func(r *rig, cfg *gateway.Config) {
		down := func(string, func() error) error { return errDown }
		cfg.Ledger, cfg.Videos, cfg.MP3s = ledger{r.ledger, down}, files{r.videos, down}, files{r.mp3s, down}
	})
	j := r.insert(r.queued())
	for _, q := range []request{
		{path: "/download?fid=" + j.ID},
		{path: "/jobs"},
		{path: "/jobs/" + j.ID, method: http.MethodDelete},
	} {
		a := r.do(q)
		r.wantProblem(a, 503, "try again")
	}
}

// queued is a job that came about without a gateway.
func (r *rig) queued() job.Job {
	r.Helper()
	id := job.NewID(time.Now())
	return job.Adopt(time.Now(), r.rules, job.Message{Video: id, Username: sid}, job.File{ID: id, Name: "a.mp4", Bytes: 5})
}
