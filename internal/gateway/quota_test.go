package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

// quota gives each user so many bytes and jobs.
func quota(bytes int64, jobs int) func(*rig, *gateway.Config) {
	return func(_ *rig, cfg *gateway.Config) { cfg.QuotaBytes, cfg.QuotaJobs = bytes, jobs }
}

// of is an upload of n bytes, of known length or chunked.
func of(n int, chunked bool) request {
	body, media := encode(file(strings.Repeat("v", n)))
	q := request{path: "/upload", header: http.Header{"Content-Type": {media}}, body: bytes.NewReader(body), bytes: int64(len(body))}
	if chunked {
		q.body, q.bytes = struct{ io.Reader }{q.body}, 0
	}
	return q
}

func TestAQuotaOfBytesIsExact(t *testing.T) {
	t.Parallel()
	const limit = 1000
	for name, tt := range map[string]struct {
		before, bytes, status int
	}{
		"less by one":               {0, limit - 1, 200},
		"all of it":                 {0, limit, 200},
		"more by one":               {0, limit + 1, 413},
		"far more":                  {0, 100 * limit, 413},
		"a rest less by one":        {900, 99, 200},
		"the rest":                  {900, 100, 200},
		"the rest and one":          {900, 101, 413},
		"one byte when it is used":  {1000, 1, 413},
		"nothing when it is used":   {1000, 0, 413},
		"one byte when it was over": {1100, 1, 413},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %v", name, chunked), func(t *testing.T) {
				r := start(t, quota(limit, 0))
				if tt.before > 0 {
					r.insert(r.arrived(sid, int64(tt.before)))
				}
				before := len(r.all())
				q := of(tt.bytes, chunked)
				a := r.do(q)
				if tt.status == 200 {
					r.want(a, 200, "success!")
				} else {
					r.wantProblem(a, 413, fmt.Sprintf("of 1000 bytes %d are left, delete jobs", max(0, limit-tt.before)))
					if a.header.Get("Retry-After") != "" {
						t.Error("Retry-After, though it will not pass")
					}
					if n := len(r.all()); n != before || len(r.stored()) > 0 {
						t.Errorf("jobs %q, files %q are left", r.all(), r.stored())
					}
				}
				if u := r.usage(sid); u.Reserved != 0 || u.Uploads != 0 || tt.before <= limit && u.Stored > limit {
					t.Errorf("usage = %+v", u)
				}
				q = of(10, chunked)
				q.token = ann
				r.want(r.do(q), 200, "success!") // others have their own
			})
		}
	}
}

// arrived is a job whose video, of so many bytes, has arrived.
func (r *rig) arrived(owner string, bytes int64) job.Job {
	r.Helper()
	j := job.New(time.Now(), r.rules, job.NewID(time.Now()), owner)
	r.must(j.Arrived(time.Now(), r.rules, job.File{ID: j.ID, Name: "a.mp4", Bytes: bytes}))
	return j
}

func (r *rig) usage(owner string) job.Usage {
	r.Helper()
	u, err := r.ledger.Usage(r.Context(), owner)
	r.must(err)
	return u
}

func TestWhatCountsTowardsAQuotaOfBytes(t *testing.T) {
	t.Parallel()
	r := start(t, quota(1000, 0))
	full := func(left int) {
		t.Helper()
		r.wantProblem(r.do(of(1000, false)), 413, fmt.Sprintf("of 1000 bytes %d are left", left))
	}
	done := r.convert(r.upload(strings.Repeat("v", 300)).ID, strings.Repeat("s", 200))
	full(500)
	failed := r.fail(r.upload(strings.Repeat("v", 400)).ID)
	full(100)
	over := r.convert(r.upload(strings.Repeat("v", 100)).ID, strings.Repeat("s", 50)) // nobody knows beforehand how long an MP3 will be
	full(0)
	r.json(r.do(request{path: "/jobs/" + failed.ID + "/retry", method: http.MethodPost}), 202) // takes no byte more
	for _, j := range []job.Job{done, failed, over} {
		r.want(r.do(request{path: "/jobs/" + j.ID, method: http.MethodDelete}), 204, "")
	}
	r.want(r.do(of(1000, false)), 200, "success!")
}

func TestAnUploadThatDoesNotFitIsNotSent(t *testing.T) {
	t.Parallel()
	r := start(t, quota(4*mega, 0))
	addr, sent := r.proxy()
	status, body, said := r.curl(addr, "-H", "Authorization: Bearer "+sid, "-F", "file=@"+r.onDisk(5*mega))
	if status != "413" || !strings.Contains(body, "quota") || said != "" || sent.Load() > 10_000 {
		t.Errorf("curl sent %d bytes, got %s %q and says %q", sent.Load(), status, body, said)
	}
	r.wantNothing()
}

// What is under way has its room, and gives back what it does not need.
func TestUploadsUnderWayHoldTheirRoom(t *testing.T) {
	t.Parallel()
	judged := new(atomic.Int64)
	r := start(t, quota(3*mega, 0), func(_ *rig, cfg *gateway.Config) {
		cfg.MaxUpload, cfg.Ledger = 2*mega, counted{cfg.Ledger, judged}
	})
	begin := func() (*io.PipeWriter, <-chan answer) {
		q, out := slowly(request{}) // of unknown length: it holds as much as an upload may come to
		a := r.async(q)
		_, err := io.WriteString(out, opening)
		r.must(err)
		return out, a
	}
	end := func(out *io.PipeWriter, a <-chan answer, content string) answer {
		_, err := io.WriteString(out, content+closing)
		r.must(err)
		r.must(out.Close())
		return <-a
	}
	first, answer1 := begin()
	r.eventually("the first has its place", func() bool { return judged.Load() > 0 }) // or it and the second are rivals
	r.eventually("the first holds what it may come to", func() bool { return r.usage(sid).Reserved == 2*mega })
	second, answer2 := begin()
	r.eventually("the second holds the rest", func() bool { return r.usage(sid).Reserved == 3*mega })
	a := r.do(of(1, false))
	r.wantProblem(a, 413, "wait for your other uploads to end")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After, though it will pass")
	}
	r.want(end(first, answer1, "video"), 200, "success!")
	r.want(r.do(of(mega, false)), 200, "success!")
	r.wantProblem(end(second, answer2, strings.Repeat("v", mega+1)), 413, "quota")
	if u := r.usage(sid); u != (job.Usage{Stored: mega + 5, Waiting: 2}) {
		t.Errorf("usage = %+v", u)
	}
}

func TestAQuotaOfJobs(t *testing.T) {
	t.Parallel()
	judged := new(atomic.Int64)
	r := start(t, quota(0, 3), func(_ *rig, cfg *gateway.Config) { cfg.Ledger = counted{cfg.Ledger, judged} })
	refused := func(q request) {
		t.Helper()
		a := r.do(q)
		r.wantProblem(a, 429, "as many jobs waiting as you may, 3")
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	failed := r.fail(r.upload("video").ID)
	retry := request{path: "/jobs/" + failed.ID + "/retry", method: http.MethodPost}
	running, queued := r.upload("video"), r.upload("video")
	r.claim(running.ID)
	slow, out := slowly(request{})
	before := judged.Load()
	begun := r.async(slow)
	_, err := io.WriteString(out, opening)
	r.must(err)
	r.eventually("the third has its place", func() bool { return judged.Load() > before }) // or it and the next are rivals
	refused(of(1, false))
	refused(of(1, true))
	refused(retry)
	if j := r.job(failed.ID); j.State != job.Failed {
		t.Errorf("a retry that was refused has made the job %s", j.State)
	}
	key := http.Header{"Idempotency-Key": {"k"}}
	_, err = io.WriteString(out, "video"+closing)
	r.must(errors.Join(err, out.Close()))
	r.want(<-begun, 200, "success!")
	refused(of(1, false))
	r.want(r.do(request{method: http.MethodDelete, path: "/jobs/" + queued.ID}), 204, "")
	r.want(r.do(request{path: "/upload", form: file("v"), header: key}), 200, "success!")
	r.want(r.do(request{path: "/upload", form: file("v"), header: key}), 200, "success!") // is there already: takes no place
	refused(of(1, false))
	f := r.put(r.mp3s, r.job(running.ID).Tried[0], "sound")
	r.update(running.ID, func(j *job.Job) error { return j.Commit(time.Now(), r.rules, 1, f, time.Second) })
	r.json(r.do(retry), 202)
	refused(of(1, false))
	if u := r.usage(sid); u.Waiting != 3 || u.Uploads != 0 {
		t.Errorf("usage = %+v", u)
	}
	r.want(r.do(request{path: "/upload", form: file("v"), token: ann}), 200, "success!")
}

// counted counts how often an owner's use was looked at.
type counted struct {
	gateway.Ledger
	looks *atomic.Int64
}

func (c counted) Usage(ctx context.Context, owner string) (job.Usage, error) {
	u, err := c.Ledger.Usage(ctx, owner)
	c.looks.Add(1)
	return u, err
}

// replica is one more gateway over the same stores.
func (r *rig) replica(cfg gateway.Config) (addr string) {
	r.Helper()
	cfg.Metrics = prometheus.NewRegistry()
	server := httptest.NewUnstartedServer(nil)
	server.Config = web.NewServer(gateway.New(cfg).Routes(), slog.New(slog.DiscardHandler))
	server.Start()
	r.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestTwentyUploadsAtTheEdgeOfAQuotaAreNeverOver(t *testing.T) {
	t.Parallel()
	const rivals, each, fits = 20, 100_000, 7
	for name, tt := range map[string]struct {
		tweak   func(*rig, *gateway.Config)
		chunked bool
		status  int
	}{
		"bytes":          {quota(fits*each+each/2, 0), false, 413},
		"bytes, chunked": {quota(fits*each+each/2, 0), true, 413},
		"jobs":           {quota(0, fits), false, 429},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cfg gateway.Config
			r := start(t, func(_ *rig, c *gateway.Config) { c.MaxUpload = each }, tt.tweak, func(_ *rig, c *gateway.Config) { cfg = *c })
			gateways := []string{r.addr, r.replica(cfg), r.replica(cfg)}
			send := func(i int) <-chan answer {
				q := of(each, tt.chunked)
				q.to = gateways[i%len(gateways)]
				return r.async(q)
			}
			var answers []<-chan answer
			for i := range rivals {
				answers = append(answers, send(i))
			}
			taken := 0
			count := func(a answer) {
				switch {
				case a.status == 200:
					taken++
				case a.status != tt.status || a.err != nil:
					t.Errorf("answer = %d %q (%v)", a.status, a.body, a.err)
				}
			}
			for _, a := range answers {
				count(<-a)
			}
			t.Logf("%d of %d fit, %d were taken of %d at once", fits, rivals, taken, rivals)
			for i := range fits + 1 { // what stepped back for others finds its room now
				count(<-send(i))
			}
			if u := r.usage(sid); taken != fits || u != (job.Usage{Stored: fits * each, Waiting: fits}) {
				t.Errorf("%d uploads were taken, want %d; usage = %+v", taken, fits, u)
			}
		})
	}
}

func TestRetriesAtOnceAreNeverOverTheQuota(t *testing.T) {
	t.Parallel()
	const rivals, fits = 10, 3
	r := start(t, quota(0, fits))
	var answers []<-chan answer
	var failed []job.Job
	for range rivals {
		failed = append(failed, r.fail(r.upload("video").ID))
	}
	for _, j := range failed {
		answers = append(answers, r.async(request{path: "/jobs/" + j.ID + "/retry", method: http.MethodPost}))
	}
	for _, a := range answers {
		if a := <-a; a.status != 202 && a.status != 429 {
			t.Errorf("answer = %d %q (%v)", a.status, a.body, a.err)
		}
	}
	if u := r.usage(sid); u.Waiting > fits || u.Uploads != 0 {
		t.Errorf("usage = %+v", u)
	}
}

// crowded is a ledger in which a rival, who has stepped back since, is seen so many times.
type crowded struct {
	gateway.Ledger
	times *atomic.Int32
}

func (c crowded) Usage(ctx context.Context, owner string) (job.Usage, error) {
	u, err := c.Ledger.Usage(ctx, owner)
	if c.times.Add(-1) >= 0 {
		u.Uploads, u.Reserved = u.Uploads+1, u.Reserved+1000
	}
	return u, err
}

func TestWhoeverStepsBackForOthersTriesAgain(t *testing.T) {
	t.Parallel()
	for name, tweak := range map[string]func(*rig, *gateway.Config){"bytes": quota(1000, 0), "jobs": quota(0, 1)} {
		var times atomic.Int32
		r := start(t, tweak, func(_ *rig, cfg *gateway.Config) { cfg.Ledger = crowded{cfg.Ledger, &times} })
		times.Store(3)
		if a := r.do(of(1, false)); a.status != 200 {
			t.Errorf("%s: answer = %d %q", name, a.status, a.body)
		}
		r.want(r.do(request{method: http.MethodDelete, path: "/jobs/" + strings.Fields(r.all()[0])[1]}), 204, "")
		times.Store(1000) // and not for ever
		if a := r.do(of(1, false)); a.status != 413 && a.status != 429 {
			t.Errorf("%s: answer = %d %q", name, a.status, a.body)
		}
	}
}

func TestALedgerThatCannotTellTheUsageTakesNothing(t *testing.T) {
	t.Parallel()
	r := start(t, quota(1000, 10), broken(instead("usage", 1)))
	r.wantProblem(r.do(of(1, false)), 503, "service unavailable")
	r.wantNothing()
	r.want(r.do(of(1, false)), 200, "success!")
}

func TestAReservationThatCannotBeMadeSmallerIsNotLeft(t *testing.T) {
	t.Parallel()
	r := start(t, quota(1000, 0), broken(instead("update", 1)))
	r.wantProblem(r.do(of(1000, false)), 503, "service unavailable") // with the form it may come to more
	r.wantNothing()
	r.want(r.do(of(1000, false)), 200, "success!")
}

func TestAReservationThatCannotBeTakenBackIsSwept(t *testing.T) {
	t.Parallel()
	r := start(t, quota(1000, 0), broken(instead("remove", 1)), hasty)
	r.wantProblem(r.do(of(100_000, false)), 413, "quota")
	if jobs := r.all(); len(jobs) != 1 || len(r.stored()) > 0 {
		t.Errorf("jobs %q are left, want the reservation", jobs)
	}
	r.sweep()
	r.wantNothing()
	r.want(r.do(of(1000, true)), 200, "success!")
}
