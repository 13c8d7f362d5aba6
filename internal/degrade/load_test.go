package degrade

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/testsuite"
)

// load is users at work, until it is told to end. No request of theirs may fail; one may be told to come again, as on a
// machine too busy for auth to answer within its two seconds.
type load struct {
	p    *testsuite.Person
	mp3  string // can be downloaded
	form string // of an upload
	kind http.Header
	sent checker.Upload // the same as the checker knows it

	history checker.History // of all uploads

	stop    chan struct{}
	running sync.WaitGroup

	mu     sync.Mutex
	served map[string]int // requests, by what they are
	later  int            // 503 with Retry-After
	failed []string
	jobs   []string // behind uploads that were answered with 200
}

// pace keeps the load below what two cores convert.
const pace = 150 * time.Millisecond

// startLoad has some users log in, upload, list and download, all on connections that they keep.
func startLoad(t *testing.T, p *testsuite.Person) *load {
	t.Helper()
	video := testsuite.VideoOf(t, testsuite.Clip(t), "vid_1.mp4")
	sent := video.Sent(p.Email, "")
	first := p.Upload(t, testsuite.Clip(t), video.Name)
	l := &load{
		p: p, mp3: testsuite.OrEmpty(p.Reaches(t, first, "done").MP3),
		sent: sent, stop: make(chan struct{}), served: map[string]int{}, jobs: []string{first},
	}
	sent.Status, sent.Job = http.StatusOK, first
	l.history.Told(sent)
	body, kind := video.Form(t)
	form, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	l.form, l.kind = string(form), kind
	for _, request := range []func() testsuite.Request{l.login, l.upload, l.list, l.download} {
		l.running.Go(func() { l.repeat(request) })
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.running.Wait()
}

func (l *load) login() testsuite.Request {
	return testsuite.Request{Base: l.p.URL, Method: http.MethodPost, Path: "/login", Auth: testsuite.Basic(l.p.Email, l.p.Password)}
}

func (l *load) upload() testsuite.Request {
	return l.p.With(testsuite.Request{Method: http.MethodPost, Path: "/upload", Header: l.kind, Body: onlyReader{strings.NewReader(l.form)}})
}

func (l *load) list() testsuite.Request { return l.p.With(testsuite.Request{Path: "/jobs?limit=5"}) }

func (l *load) download() testsuite.Request {
	return l.p.With(testsuite.Request{Path: "/download?fid=" + l.mp3})
}

// onlyReader keeps net/http from sending the body once more by itself, as few clients can.
type onlyReader struct{ *strings.Reader }

func (l *load) repeat(request func() testsuite.Request) {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(pace):
		}
		r := request()
		a, err := r.TryBy(client)
		l.note(r, a, err)
	}
}

func (l *load) note(r testsuite.Request, a testsuite.Answer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Path == "/upload" {
		told := l.sent
		told.Status, told.Job = a.Status, strings.TrimPrefix(a.Header.Get("Location"), "/jobs/")
		l.history.Told(told)
	}
	switch {
	case err != nil:
		l.failed = append(l.failed, fmt.Sprintf("%s: %v", r.Path, err))
	case a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "":
		l.later++
	case a.Status != http.StatusOK:
		l.failed = append(l.failed, fmt.Sprintf("%s = %d %q", r.Path, a.Status, a.Body))
	case r.Path == "/upload":
		l.jobs = append(l.jobs, strings.TrimPrefix(a.Header.Get("Location"), "/jobs/"))
		fallthrough
	default:
		l.served[r.Path]++
	}
}

// more waits until each kind of request has been served a few times more.
func (l *load) more(t *testing.T) {
	t.Helper()
	const few = 3
	l.mu.Lock()
	before := map[string]int{}
	for path, n := range l.served {
		before[path] = n
	}
	l.mu.Unlock()
	testsuite.Eventually(t, "the users go on", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for path, n := range l.served {
			if n < before[path]+few {
				return false
			}
		}
		return len(l.served) == 4
	})
}

// check fails the test if a request has failed, once for each test, or if many were told to come again.
func (l *load) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, failure := range l.failed {
		t.Error(failure)
	}
	t.Logf("served %v, told to come again %d", l.served, l.later)
	served := 0
	for _, n := range l.served {
		served += n
	}
	if few := served / 4; l.later > few { // on a busy machine one in a hundred
		t.Errorf("%d requests were told to come again, at most may %d", l.later, few)
	}
	l.failed = nil
}

// stopsUnderway tells a gateway to stop with n uploads under way, of each of which a third comes before, one when the
// gateway knows, and one when it takes no more connections.
func (l *load) stopsUnderway(t *testing.T, gateway *testsuite.Process, n int) {
	t.Helper()
	addr := gateway.Serving(t, "http")
	var all []*slow
	for range n {
		all = append(all, l.begin(t, addr))
	}
	send := func(thirds int) {
		for _, s := range all {
			s.upTo(t, len(s.form)*thirds/3)
		}
	}
	send(1)
	gateway.Tell()
	testsuite.Eventually(t, "the gateway is stopping", func() bool { return gateway.Ready(t).Body == "stopping" })
	send(2)
	testsuite.Eventually(t, "the gateway takes no more connections", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	send(3)
	for _, s := range all {
		a, err := s.answer()
		l.note(s.Request, a, err)
		if err != nil || a.Status != http.StatusOK {
			t.Errorf("an upload that was under way when the gateway was told to stop was answered %d %q, %v", a.Status, a.Body, err)
		}
	}
	gateway.Ends(t)
}

// slow is an upload that is sent piece by piece.
type slow struct {
	testsuite.Request
	form   string
	sent   int
	body   *io.PipeWriter
	answer func() (testsuite.Answer, error) // waits for it
}

// begin begins an upload at a gateway. The gateway asks for its body before the first piece of it is sent.
func (l *load) begin(t *testing.T, addr string) *slow {
	t.Helper()
	body, pipe := io.Pipe()
	s := &slow{Request: l.upload(), form: l.form, body: pipe}
	s.Base, s.Body = "http://"+addr, body
	s.Header = s.Header.Clone()
	s.Header.Set("Expect", "100-continue")
	client := &http.Client{Timeout: 3 * time.Minute, Transport: &http.Transport{ExpectContinueTimeout: time.Minute, DisableKeepAlives: true}}
	var a testsuite.Answer
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a, err = s.TryBy(client)
		body.CloseWithError(io.ErrClosedPipe) // whoever sends on is told
	}()
	s.answer = func() (testsuite.Answer, error) {
		<-ended
		return a, err
	}
	t.Cleanup(func() { pipe.Close(); <-ended })
	return s
}

// upTo returns when so many bytes of the form are sent. An upload that has been answered before gets no more.
func (s *slow) upTo(t *testing.T, n int) {
	t.Helper()
	sent, err := io.WriteString(s.body, s.form[s.sent:n])
	if s.sent += sent; err == nil && s.sent == len(s.form) {
		err = s.body.Close()
	}
	if err != nil {
		a, answered := s.answer()
		t.Fatalf("an upload under way was answered %d %q, %v, after %d bytes of %d", a.Status, a.Body, answered, s.sent, len(s.form))
	}
}
