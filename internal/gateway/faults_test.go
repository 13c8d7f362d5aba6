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
	"testing/iotest"
	"time"

	"golang.org/x/sync/errgroup"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

var errDown = errors.New("dial tcp 10.0.0.7:27017: connection refused")

// around decides what becomes of a call: whether it is made, how often, and what its caller is told.
type around func(op string, call func() error) error

// ledger is one with faults.
type ledger struct {
	gateway.Ledger
	around around
}

func (l ledger) Insert(ctx context.Context, j job.Job) error {
	return l.around("insert", func() error { return l.Ledger.Insert(ctx, j) })
}

func (l ledger) ByKey(ctx context.Context, key string) (j job.Job, err error) {
	err = l.around("by key", func() error { j, err = l.Ledger.ByKey(ctx, key); return err })
	return j, err
}

func (l ledger) ByMP3(ctx context.Context, owner, id string) (j job.Job, err error) {
	err = l.around("by mp3", func() error { j, err = l.Ledger.ByMP3(ctx, owner, id); return err })
	return j, err
}

func (l ledger) List(ctx context.Context, owner, before string, limit int) (jobs []job.Job, err error) {
	err = l.around("list", func() error { jobs, err = l.Ledger.List(ctx, owner, before, limit); return err })
	return jobs, err
}

func (l ledger) Update(ctx context.Context, id string, change func(*job.Job) error) (j job.Job, err error) {
	err = l.around("update", func() error { j, err = l.Ledger.Update(ctx, id, change); return err })
	return j, err
}

func (l ledger) Remove(ctx context.Context, id string) error {
	return l.around("remove", func() error { return l.Ledger.Remove(ctx, id) })
}

func (l ledger) Due(ctx context.Context, now time.Time, limit int) (jobs []job.Job, err error) {
	err = l.around("due", func() error { jobs, err = l.Ledger.Due(ctx, now, limit); return err })
	return jobs, err
}

// files is a store with faults.
type files struct {
	gateway.Files
	around around
}

func (f files) Put(ctx context.Context, file job.File, r io.Reader) (stored job.File, err error) {
	err = f.around("put", func() error { stored, err = f.Files.Put(ctx, file, r); return err })
	return stored, err
}

func (f files) Open(ctx context.Context, id string) (file job.File, r io.ReadSeekCloser, err error) {
	err = f.around("open", func() error { file, r, err = f.Files.Open(ctx, id); return err })
	return file, r, err
}

func (f files) Delete(ctx context.Context, id string) error {
	return f.around("delete", func() error { return f.Files.Delete(ctx, id) })
}

// broken puts faults around the ledger and the videos.
func broken(fault around) func(*rig, *gateway.Config) {
	return func(r *rig, cfg *gateway.Config) {
		cfg.Ledger, cfg.Videos = ledger{r.ledger, fault}, files{r.videos, fault}
	}
}

// instead fails the n-th call of op, from 1, without making it.
func instead(op string, n int32) around {
	var seen atomic.Int32
	return func(got string, call func() error) error {
		if got == op && seen.Add(1) == n {
			return errDown
		}
		return call()
	}
}

// after makes the n-th call of op, and then fails it.
func after(op string, n int32) around {
	var seen atomic.Int32
	return func(got string, call func() error) error {
		err := call()
		if got == op && seen.Add(1) == n {
			return errDown
		}
		return err
	}
}

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

// both has two faults.
func both(a, b around) around {
	return func(op string, call func() error) error {
		return a(op, func() error { return b(op, call) })
	}
}

// twice has a call made twice, as by an adapter that has missed the answer to the first.
func twice(op string) around {
	return func(got string, call func() error) error {
		if got == op {
			_ = call()
		}
		return call()
	}
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

// When the ledger is away for long, nobody knows whether the commit has happened. Then nothing may be removed.
func TestACommitInDoubt(t *testing.T) {
	t.Parallel()
	for name, happened := range map[string]bool{"it has happened": true, "it has not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var up atomic.Bool
			r := start(t, hasty, broken(func(op string, call func() error) error {
				if op != "update" || up.Load() {
					return call()
				}
				if happened {
					_ = call()
				}
				return errDown
			}))
			r.wantProblem(r.do(request{path: "/upload", form: file("video")}), 503, "try again")
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

// The first upload with a key makes the job, any other gets it.
func TestOneKeyIsOneJob(t *testing.T) {
	t.Parallel()
	r := start(t)
	keyed := func(user, key, content string) request {
		return request{path: "/upload", token: user, form: file(content), header: http.Header{"Idempotency-Key": {key}}}
	}
	first := r.do(keyed(sid, "k", "video"))
	r.want(first, 200, "success!")
	location := first.header.Get("Location")
	for name, tt := range map[string]struct {
		q    request
		same bool
	}{
		"the same again":        {keyed(sid, "k", "video"), true},
		"with another video":    {keyed(sid, "k", strings.Repeat("another ", mega)), true},
		"somebody else's":       {keyed(ann, "k", "video"), false},
		"another key":           {keyed(sid, "K", "video"), false},
		"without a key":         {request{path: "/upload", form: file("video")}, false},
		"of a form that is bad": {request{path: "/upload", form: []part{}, header: http.Header{"Idempotency-Key": {"k"}}}, true},
	} {
		a := r.do(tt.q)
		r.want(a, 200, "success!")
		if same := a.header.Get("Location") == location; same != tt.same {
			t.Errorf("%s: the same job: %v, want %v", name, same, tt.same)
		}
	}
	r.want(r.do(request{method: "DELETE", path: location}), 204, "")
	again := r.do(keyed(sid, "k", "video"))
	r.want(again, 200, "success!")
	if again.header.Get("Location") == location {
		t.Error("a deleted job still has its key")
	}
}

func TestARaceForAKey(t *testing.T) {
	t.Parallel()
	r := start(t)
	const rivals = 5
	var outs []*io.PipeWriter
	var answers []<-chan answer
	for range rivals { // each is under way before the first arrives
		q, out := slowly(request{header: http.Header{"Idempotency-Key": {"k"}}})
		answers, outs = append(answers, r.async(q)), append(outs, out)
		_, err := io.WriteString(out, opening)
		r.must(err)
	}
	r.eventually("all are under way", func() bool { return len(r.all()) == rivals })
	var g errgroup.Group
	for _, out := range outs {
		g.Go(func() error {
			_, err := io.WriteString(out, "video"+closing)
			return errors.Join(err, out.Close())
		})
	}
	r.must(g.Wait())
	locations := map[string]bool{}
	for _, a := range answers {
		a := <-a
		r.want(a, 200, "success!")
		locations[a.header.Get("Location")] = true
	}
	if len(locations) != 1 || len(r.all()) != 1 || len(r.stored()) != 2 {
		t.Errorf("answers name %v; jobs %q, files %q", locations, r.all(), r.stored())
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
			_, _ = io.WriteString(out, "eo"+closing)                             // refused if the gateway has hung up by now
			_ = out.Close()
			if got := <-a; got.err == nil || got.status != 0 {
				r.wantProblem(got, 503, "try again")
			}
			r.sweep()
			r.wantNothing()
		})
	}
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
			for n := range 15 {
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

// dying is a store whose files break off after a while.
type dying struct {
	gateway.Files
	after int64
	ended chan struct{} // closed when the file is
}

type dyingFile struct {
	io.Reader
	io.Seeker
	end func() error
}

func (f dyingFile) Close() error { return f.end() }

func (d dying) Open(ctx context.Context, id string) (job.File, io.ReadSeekCloser, error) {
	f, content, err := d.Files.Open(ctx, id)
	if err != nil {
		return f, nil, err
	}
	end := func() error {
		close(d.ended)
		return content.Close()
	}
	return f, dyingFile{io.MultiReader(io.LimitReader(content, d.after), iotest.ErrReader(errDown)), content, end}, nil
}
