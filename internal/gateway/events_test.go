package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

// quick has streams follow within milliseconds.
func quick(_ *rig, cfg *gateway.Config) {
	cfg.Streams = gateway.Streams{Poll: 5 * time.Millisecond, Beat: 20 * time.Millisecond, Check: 20 * time.Millisecond}
}

// event is one of a stream. Without a name it only says an id.
type event struct{ name, id, data string }

// listener is a client of events.
type listener struct {
	*rig
	header http.Header
	all    chan event // closed at the end of the stream
	hangUp func()
	id     string // the last
	seen   map[string]bool
}

// listen opens a stream.
func (r *rig) listen(q request) *listener {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	resp, err := r.client.Do(r.request(q).WithContext(ctx))
	r.must(err)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		body, _ := io.ReadAll(resp.Body)
		r.Fatalf("%s = %d %s", q.path, resp.StatusCode, body)
	}
	l := &listener{rig: r, header: resp.Header, all: make(chan event, 10_000), hangUp: cancel, seen: map[string]bool{}}
	go func() {
		defer close(l.all)
		defer resp.Body.Close()
		var e event
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "":
				if e != (event{}) {
					l.all <- e
				}
				e = event{}
			}
		}
	}()
	r.Cleanup(cancel)
	return l
}

// next is the next event that is one; none at the end. It passes over a job that is as it was: a step of it that its owner
// does not see, as that somebody was rung for it.
func (l *listener) next() event {
	l.Helper()
	late := time.After(wait)
	for {
		select {
		case e, more := <-l.all:
			if e.id != "" {
				l.id = e.id
			}
			if (e.name != "" || !more) && !l.seen[e.data] {
				l.seen[e.data] = more
				return e
			}
		case <-late:
			l.Fatal("no event comes")
		}
	}
}

// wants waits for the event that is the job as it is now. Before it there may be those of steps that the job has just made, and
// of other jobs' that nobody sees; whatever else comes is wrong.
func (l *listener) wants(id string, others ...string) {
	l.Helper()
	now := l.do(request{path: "/jobs/" + id}).body
	for {
		e := l.next()
		known := slices.ContainsFunc(append(others, id), func(id string) bool { return strings.Contains(e.data, id) })
		if e.name != "job" || e.id == "" || !known {
			l.Fatalf("event %q %q %s, want the job %s", e.name, e.id, e.data, now)
		}
		if e.data == now {
			return
		}
	}
}

func (l *listener) wantsGone(id string) {
	l.Helper()
	if e := l.next(); e.name != "gone" || e.data != `{"id":"`+id+`"}` || e.id == "" {
		l.Errorf("event %v, want that %s is gone", e, id)
	}
}

func (l *listener) wantsEnd() {
	l.Helper()
	if e := l.next(); e != (event{}) {
		l.Errorf("event %v, want the end of the stream", e)
	}
}

// again is the listener's request after its connection was lost.
func (l *listener) again(q request) request {
	q.header = http.Header{"Last-Event-Id": {l.id}}
	return q
}

func TestTheEventsOfAJobAreWhatItIsAtEachStep(t *testing.T) {
	t.Parallel()
	r := start(t, quick)
	r.upload("another video")
	j := r.upload("video")
	l := r.listen(request{path: "/jobs/" + j.ID + "/events", cookie: mySession})
	if l.header.Get("X-Accel-Buffering") != "no" || l.header.Get("Cache-Control") != "no-store" {
		t.Errorf("header = %v", l.header)
	}
	l.wants(j.ID)
	mp3 := r.claim(j.ID)
	l.wants(j.ID)
	r.update(j.ID, func(j *job.Job) error { return j.Renew(time.Now(), r.rules, j.Attempt, 42) })
	l.wants(j.ID)
	r.upload("a third") // is not of it
	f := r.put(r.mp3s, mp3, "sound")
	r.update(j.ID, func(j *job.Job) error { return j.Commit(time.Now(), r.rules, j.Attempt, f, 90*time.Second) })
	l.wants(j.ID)
	r.want(r.do(request{path: "/jobs/" + j.ID, method: http.MethodDelete}), 204, "")
	l.wantsGone(j.ID)
	l.wantsEnd()
}

func TestTheEventsOfAllJobsAreTheOwnersOnly(t *testing.T) {
	t.Parallel()
	r := start(t, quick)
	a, b, c := r.upload("a"), r.upload("b"), r.upload("c")
	l, page := r.listen(request{path: "/events"}), r.listen(request{path: "/events?limit=2"})
	for _, id := range []string{a.ID, b.ID, c.ID} { // the oldest first
		l.wants(id)
	}
	page.wants(b.ID)
	page.wants(c.ID)
	foreign := r.do(request{path: "/upload", form: file("video"), token: ann})
	r.want(foreign, 200, "success!")
	d := r.upload("d")
	l.wants(d.ID)
	page.wants(d.ID, a.ID) // which is not on the page, but may have changed shortly before
	r.fail(a.ID)
	l.wants(a.ID, d.ID)
	page.wants(a.ID, d.ID)
	r.want(r.do(request{path: "/jobs/" + b.ID, method: http.MethodDelete}), 204, "")
	l.wantsGone(b.ID)
	page.wantsGone(b.ID)
	for _, q := range []string{"limit=0", "limit=201", "limit=x", "before=x"} {
		r.wantProblem(r.do(request{path: "/events?" + q}), 400, "limit must be")
	}
}

func TestWhoComesBackIsToldWhatItHasMissed(t *testing.T) {
	t.Parallel()
	r := start(t, quick)
	a, b, c := r.upload("a"), r.upload("b"), r.upload("c")
	all, one := request{path: "/events"}, request{path: "/jobs/" + b.ID + "/events"}
	l, lb := r.listen(all), r.listen(one)
	l.wants(a.ID)
	l.wants(b.ID)
	l.wants(c.ID)
	lb.wants(b.ID)
	l.hangUp()
	lb.hangUp()
	r.update(c.ID, func(j *job.Job) error { j.Percent = 7; return nil })
	r.want(r.do(request{path: "/jobs/" + b.ID, method: http.MethodDelete}), 204, "")

	again := r.listen(l.again(all))
	got := map[string]event{}
	for range 3 { // a has not changed, but shortly before
		e := again.next()
		var of struct{ ID string }
		r.must(json.Unmarshal([]byte(e.data), &of))
		got[of.ID] = e
	}
	if got[a.ID].name != "job" || got[b.ID].name != "gone" || !strings.Contains(got[c.ID].data, `"progress":7`) {
		t.Errorf("told %v", got)
	}
	again = r.listen(lb.again(one))
	again.wantsGone(b.ID)
	again.wantsEnd()
	r.want(r.do(one), 404, "no such job")

	for name, id := range map[string]string{
		"too old": strconv.FormatInt(time.Now().Add(-time.Hour).UnixMilli(), 10), "of another day": strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10),
		"of another kind": "x", "too large": "99999999999999999999",
	} {
		q := all
		q.header = http.Header{"Last-Event-Id": {id}}
		l := r.listen(q)
		if e := l.next(); e.name != "reset" || e.data != "{}" {
			t.Errorf("%s: event %v, want that all begins anew", name, e)
		}
		l.wants(a.ID)
		l.wants(c.ID)
	}
	for _, id := range []string{b.ID, job.NewID(time.Now()), "no-id"} { // a deleted one is no secret to its owner, but to others
		q := request{path: "/jobs/" + id + "/events", token: ann, header: http.Header{"Last-Event-Id": {"1"}}}
		r.want(r.do(q), 404, "no such job")
	}
}

func TestAStreamShowsThatItLives(t *testing.T) {
	t.Parallel()
	r := start(t, quick)
	l := r.listen(request{path: "/events"})
	var last int64
	for range 4 {
		e := <-l.all
		id, err := strconv.ParseInt(e.id, 10, 64)
		if err != nil || e.name != "" || e.data != "" || id < last {
			t.Fatalf("event %v, want a sign of life with an id of %d or later", e, last)
		}
		if time.UnixMilli(id).After(time.Now()) {
			t.Errorf("the id is of %v, which is still to come", time.UnixMilli(id))
		}
		last = id
	}
	c := r.dial()
	_, err := io.WriteString(c, "GET /events HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer "+sid+"\r\n\r\n")
	r.must(err)
	text := ""
	for lines := bufio.NewScanner(c); !strings.Contains(text, "\n:\n"); text += lines.Text() + "\n" {
		if !lines.Scan() {
			t.Fatalf("the stream ends after\n%s", text)
		}
	}
	if !strings.Contains(text, "\nretry: 3000\n\n") {
		t.Errorf("it begins with\n%s", text)
	}
}

func TestAStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *rig){
		"ended":     func(r *rig) { r.do(request{path: "/logout", method: http.MethodPost}) },
		"no longer": func(r *rig) { r.setAuth(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }) },
		"of a guest": func(r *rig) {
			r.setAuth(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, `{"username":"sid@gmail.com","admin":false}`)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, quick)
			l := r.listen(request{path: "/events"})
			end(r)
			l.wantsEnd()
		})
	}
	t.Run("expired, while auth is away", func(t *testing.T) {
		t.Parallel()
		r := start(t, quick)
		r.setAuth(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"username":"sid@gmail.com","admin":true,"exp":%d}`, time.Now().Add(1500*time.Millisecond).Unix())
		})
		l := r.listen(request{path: "/events"})
		r.setAuth(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
		l.wantsEnd()
	})
}

func TestAStreamOutlivesAnAuthThatIsAway(t *testing.T) {
	t.Parallel()
	r := start(t, quick)
	l := r.listen(request{path: "/events"})
	asked := make(chan struct{}, 1000)
	r.setAuth(func(w http.ResponseWriter, _ *http.Request) { asked <- struct{}{}; w.WriteHeader(503) })
	for range 3 {
		<-asked
	}
	r.setAuth(nil)
	l.wants(r.upload("video").ID)
}

func TestAStreamEndsWhenTheProcessStops(t *testing.T) {
	t.Parallel()
	r := start(t, quick)
	l := r.listen(request{path: "/events"})
	one := r.listen(request{path: "/jobs/" + r.upload("video").ID + "/events"})
	one.next()
	l.next()
	r.stop()
	l.wantsEnd()
	one.wantsEnd()
}

func TestStreamsAreLimited(t *testing.T) {
	t.Parallel()
	r := start(t, quick, func(_ *rig, cfg *gateway.Config) { cfg.MaxStreams, cfg.MaxStreamsEach = 3, 2 })
	id := r.upload("video").ID
	q := request{path: "/events"}
	first := r.listen(q)
	r.listen(request{path: "/jobs/" + id + "/events"})
	refused := func(token string) {
		t.Helper()
		a := r.do(request{path: "/events", token: token})
		r.want(a, 503, "too many streams of events at once, try again later")
		if a.header.Get("Retry-After") != "10" {
			t.Errorf("Retry-After = %q", a.header.Get("Retry-After"))
		}
	}
	refused("")
	r.listen(request{path: "/events", token: ann})
	refused("ben@gmail.com")
	r.want(r.do(request{path: "/jobs/no-id", token: "ben@gmail.com"}), 404, "no such job")
	first.hangUp()
	r.eventually("a place is free", func() bool { return r.gauge("http_streams") == 2 })
	r.listen(q).wants(id)
}

func TestASlowReaderIsDropped(t *testing.T) {
	t.Parallel()
	var log logged
	r := start(t, quick, func(_ *rig, cfg *gateway.Config) {
		cfg.Stall, cfg.Log = 100*time.Millisecond, slog.New(slog.NewTextHandler(&log, nil))
	})
	for range 40 { // more than the kernel takes for somebody who reads nothing
		j := r.upload("video")
		r.update(j.ID, func(j *job.Job) error { j.Detail = strings.Repeat("x", 200<<10); return nil })
	}
	c := r.dial()
	_, err := io.WriteString(c, "GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+sid+"\r\n\r\n")
	r.must(err)
	r.eventually("the stream is ended", func() bool { return strings.Contains(log.String(), `ended="client gone or too slow"`) })
	r.eventually("its place is free", func() bool { return r.gauge("http_streams") == 0 })
}

func TestAStreamWorksWhileTheLedgerFailsNowAndThen(t *testing.T) {
	t.Parallel()
	calls := 0
	r := start(t, broken(func(op string, call func() error) error {
		if op == "changes" {
			if calls++; calls%2 == 1 {
				return errDown
			}
		}
		return call()
	}), quick)
	l := r.listen(request{path: "/events"})
	before := "none"
	for range 3 {
		id := r.upload("video").ID
		l.wants(id, before)
		before = id
	}
	r.want(r.do(request{path: "/events", token: "-"}), 401, "missing credentials")
}

func TestNoStreamBeginsWithoutTheLedger(t *testing.T) {
	t.Parallel()
	r := start(t, broken(func(op string, call func() error) error {
		if op == "list" || op == "get" || op == "changes" {
			return errDown
		}
		return call()
	}), quick)
	for _, q := range []request{
		{path: "/events"}, {path: "/jobs/" + job.NewID(time.Now()) + "/events"},
		{path: "/events", header: http.Header{"Last-Event-Id": {strconv.FormatInt(time.Now().UnixMilli(), 10)}}},
	} {
		r.wantProblem(r.do(q), 503, "try again")
	}
}
