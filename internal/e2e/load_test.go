package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testsuite"
)

// The load: enough that a moment in which nobody serves is noticed, and little enough for two cores that run the cluster
// too, and for FerretDB, which reads all jobs for every look at one.
const (
	people   = 3
	pace     = 400 * time.Millisecond // between two requests of those who only ask
	knocking = 20 * time.Millisecond  // between two that cost next to nothing: shorter than any gap between endpoints
	thinking = 3 * time.Second        // between two uploads
	trickle  = 6 * time.Second        // how long the slow ones among them take, so that a gateway that stops has one under way
)

// long is a video that takes seconds to convert, so that a converter that stops has one under way. It has few bytes.
var long = testmedia.Spec{Ext: "webm", Seconds: 480, Size: "16x16", Flags: []string{"-b:a", "8k", "-r", "1"}}

// seldom is one in how many uploads is a long one: its MP3 has more bytes than all others together.
const seldom = 8

// load is users at work until they are told to stop.
type load struct {
	c      *cluster
	t      *testing.T
	videos []testsuite.Video
	long   testsuite.Video

	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	phase  *phase
	phases []*phase
	served map[string]int // answered as they should be, by kind
}

// kinds of requests.
var kinds = []string{"login", "upload", "job", "list", "download", "knock"}

// person is a user whose token is renewed by every login.
type person struct {
	email string
	mu    sync.Mutex
	token string
}

// phase is a time in which one thing is disturbed, and how users fared in it.
type phase struct {
	name     string
	began    time.Time
	cutting  bool // MongoDB is taken away: what is under way at that moment may end without an answer
	requests map[string]int
	later    int      // answered 503 with Retry-After
	cut      []string // ended without an answer, in a phase that may
	failed   []string
}

// startLoad makes users and has them work.
func (c *cluster) startLoad(t *testing.T) *load {
	t.Helper()
	l := &load{c: c, t: t, served: map[string]int{}}
	for _, spec := range []testmedia.Spec{{Ext: "mp4"}, {Ext: "mkv", Seconds: 3}, {Ext: "webm", Seconds: 1}} {
		l.videos = append(l.videos, testsuite.VideoOf(t, testmedia.Clip(t, spec), "clip."+spec.Ext))
	}
	l.long = testsuite.VideoOf(t, testmedia.Clip(t, long), "long.webm")
	for range people {
		c.people = append(c.people, newPerson(t))
	}
	l.enter("before anything", false)
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	for n, p := range c.people {
		l.login(p)
		if p.token == "" {
			t.Fatalf("%s could not log in: %v", p.email, l.phase.failed)
		}
		l.running.Go(func() { l.uploads(ctx, n, p) })
	}
	asking := c.people[0]
	l.running.Go(func() { l.again(ctx, func() { l.login(c.people[1]) }) })
	l.running.Go(func() { l.again(ctx, func() { l.ask(asking, "list", "/jobs?limit=5") }) })
	mp3 := testsuite.Request{Base: host, Path: "/download?fid=" + c.main.fid, Auth: "Bearer " + c.main.token}
	l.running.Go(func() { l.again(ctx, func() { l.try("download", mp3, http.StatusOK, string(c.main.mp3)) }) })
	for _, r := range []testsuite.Request{{Base: host, Path: "/jobs"}, {Base: host, Method: http.MethodPost, Path: "/login"}} { // the second asks auth
		l.running.Go(func() { l.knocks(ctx, r) })
	}
	t.Cleanup(l.end)
	return l
}

// newPerson makes a user by the operator's command.
func newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{email: testsuite.NewAddress()}
	if _, err := tryWith(t.Context(), testsuite.Password+"\n", "exec", "-i", "deploy/auth", "--", "auth", "user", "add", p.email); err != nil {
		t.Fatal(err)
	}
	return p
}

// end has the users stop and waits for them.
func (l *load) end() {
	l.stop()
	l.running.Wait()
}

// enter begins a phase.
func (l *load) enter(name string, cutting bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = &phase{name: name, began: time.Now(), cutting: cutting, requests: map[string]int{}}
	l.phases = append(l.phases, l.phase)
}

// knocks sends a request that nobody has signed, until ctx ends.
func (l *load) knocks(ctx context.Context, r testsuite.Request) {
	for ctx.Err() == nil {
		l.try("knock", r, http.StatusUnauthorized, "missing credentials")
		rest(ctx, knocking)
	}
}

// again does the same until ctx ends.
func (l *load) again(ctx context.Context, do func()) {
	for ctx.Err() == nil {
		do()
		rest(ctx, pace)
	}
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// try sends a request and judges the answer, which must have that status and, unless it is empty, that body.
func (l *load) try(kind string, r testsuite.Request, status int, body string) testsuite.Answer {
	l.mu.Lock()
	in := l.phase
	l.mu.Unlock()
	from := time.Now()
	a, err := r.TryBy(l.c.client)
	took := time.Since(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	in.requests[kind]++
	switch {
	case (in.cutting || l.phase.cutting) && excused(kind, a, err):
		in.cut = append(in.cut, fmt.Sprintf("%s: %d, %v after %v", kind, a.Status, err, took))
		a.Status = 0
	case err != nil:
		in.failed = append(in.failed, fmt.Sprintf("%s: no answer after %v: %v", kind, took, err))
	case a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "":
		in.later++
	case a.Status != status:
		in.failed = append(in.failed, fmt.Sprintf("%s = %d after %v, %.200q", kind, a.Status, took, a.Body))
		if a.Status > http.StatusInternalServerError {
			a.Status = 0 // the Ingress says so: what the gateway has done is unknown
		}
	case body != "" && a.Body != body:
		in.failed = append(in.failed, fmt.Sprintf("%s: %d bytes that are not those expected", kind, len(a.Body)))
	default:
		l.served[kind]++
	}
	return a
}

// excused reports whether README says that it may happen when MongoDB goes away: an upload ends without an answer, for which
// the Ingress says 502, or a download in its middle.
func excused(kind string, a testsuite.Answer, err error) bool {
	switch kind {
	case "upload":
		return err != nil && a.Status != testsuite.Hung || a.Status == http.StatusBadGateway
	case "download":
		return err != nil && a.Status != testsuite.Hung
	}
	return false
}

func (l *load) login(p *person) {
	a := l.try("login", testsuite.Request{Base: host, Method: http.MethodPost, Path: "/login", Auth: testsuite.Basic(p.email, testsuite.Password)}, http.StatusOK, "")
	if a.Status == http.StatusOK {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.token = a.Body
	}
}

func (p *person) bearer() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return "Bearer " + p.token
}

func (l *load) ask(p *person, kind, path string) testsuite.Answer {
	return l.try(kind, testsuite.Request{Base: host, Path: path, Auth: p.bearer()}, http.StatusOK, "")
}

// uploads has a person upload, watch the job, and download what becomes of it, again and again.
func (l *load) uploads(ctx context.Context, n int, p *person) {
	dice := rand.New(rand.NewPCG(uint64(l.c.began.UnixNano()), uint64(n)))
	for i := 0; ctx.Err() == nil; i++ {
		v, lasts := l.videos[dice.IntN(len(l.videos))], time.Duration(0)
		if i%seldom == n {
			v = l.long
		}
		if n == people-1 {
			lasts = trickle
		}
		v.Name = fmt.Sprintf("%d-%d-%s", n, i, v.Name)
		if u := l.upload(ctx, p, v, lasts); u.Status == http.StatusOK {
			l.follow(ctx, p, u.Job)
		}
		rest(ctx, thinking/2+time.Duration(dice.Int64N(int64(thinking))))
	}
}

// upload uploads under a key until it is taken. Each try lasts as long as is said.
func (l *load) upload(ctx context.Context, p *person, v testsuite.Video, lasts time.Duration) (u checker.Upload) {
	for ctx.Err() == nil {
		body, header := v.Form(l.t)
		header.Set("Idempotency-Key", v.Name)
		a := l.try("upload", testsuite.Request{
			Base: host, Method: http.MethodPost, Path: "/upload", Auth: p.bearer(), Header: header, Body: slow{body, len(v.Data), lasts},
		}, http.StatusOK, "success!")
		u = v.Sent(p.email, v.Name)
		u.Status, u.Job = max(a.Status, 0), strings.TrimPrefix(a.Header.Get("Location"), "/jobs/")
		l.c.history.Told(u)
		if u.Status == http.StatusOK {
			return u
		}
		rest(ctx, time.Second)
	}
	return u
}

// slow sends so many bytes in about so much time, and whoever sends it cannot begin anew by itself, as few clients can.
type slow struct {
	from  io.Reader
	bytes int
	lasts time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	const pieces = 16
	time.Sleep(s.lasts / pieces)
	return s.from.Read(p[:min(len(p), s.bytes/pieces+1)])
}

// follow watches a job until it has ended, and downloads its MP3.
func (l *load) follow(ctx context.Context, p *person, id string) {
	for ctx.Err() == nil {
		var j testsuite.JobView
		if a := l.ask(p, "job", "/jobs/"+id); a.Status == http.StatusOK && json.Unmarshal([]byte(a.Body), &j) == nil {
			switch j.State {
			case "done":
				l.ask(p, "download", "/download?fid="+testsuite.OrEmpty(j.MP3))
				return
			case "failed":
				return // which the checker has a word about
			}
		}
		rest(ctx, pace)
	}
}

// more waits until requests of each kind have been answered as they should again: what was disturbed works.
func (l *load) more(t *testing.T) {
	t.Helper()
	const few = 2
	count := func() map[string]int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return maps.Clone(l.served)
	}
	before := count()
	testsuite.Eventually(t, "the users go on", func() bool {
		now := count()
		for _, kind := range kinds {
			if now[kind] < before[kind]+few {
				return false
			}
		}
		return true
	})
}

// fails fails the test if a request of the phase has.
func (l *load) fails(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, cut := range l.phase.cut {
		l.c.say(t, "cut, as it may be: %s", cut)
	}
	const enough = 5
	for i, failure := range l.phase.failed {
		if i == enough {
			t.Errorf("and %d more", len(l.phase.failed)-enough)
			break
		}
		t.Error(failure)
	}
}

// table is how users fared, phase by phase.
func (l *load) table() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	sum := phase{name: "in all", requests: map[string]int{}}
	row := func(p *phase, seconds float64) {
		fmt.Fprintf(table, "%s\t%.0f s\t", p.name, seconds)
		for _, kind := range kinds {
			fmt.Fprintf(table, "%d\t", p.requests[kind])
		}
		fmt.Fprintf(table, "%d\t%d\t%d\n", p.later, len(p.cut), len(p.failed))
	}
	fmt.Fprintf(table, "\t\t%s\t503\tcut\tfailed\n", strings.Join(kinds, "\t"))
	for i, p := range l.phases {
		until := time.Now()
		if i+1 < len(l.phases) {
			until = l.phases[i+1].began
		}
		row(p, until.Sub(p.began).Seconds())
		for kind, n := range p.requests {
			sum.requests[kind] += n
		}
		sum.later += p.later
		sum.cut, sum.failed = append(sum.cut, p.cut...), append(sum.failed, p.failed...)
	}
	row(&sum, time.Since(l.phases[0].began).Seconds())
	_ = table.Flush() // a strings.Builder takes everything
	return text.String()
}
