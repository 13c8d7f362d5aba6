package degrade

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/testsuite"
)

// load is users at work, until it is told to end. No request of theirs may fail; one may be told to come again, as on a
// machine too busy for auth to answer within its two seconds.
type load struct {
	p    *testsuite.Person
	mp3  string // can be downloaded
	form string // of an upload
	kind http.Header

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
	first := p.Upload(t, testsuite.Clip(t), "first.mp4")
	l := &load{
		p: p, mp3: testsuite.OrEmpty(p.Reaches(t, first, "done").MP3),
		stop: make(chan struct{}), served: map[string]int{}, jobs: []string{first},
	}
	upload := p.Posting(t, "/upload", nil, testsuite.FilePart("file", "vid_1.mp4", []byte(testsuite.Read(t, testsuite.Clip(t)))))
	form, err := io.ReadAll(upload.Body)
	if err != nil {
		t.Fatal(err)
	}
	l.form, l.kind = string(form), upload.Header
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

// check fails the test if a request has failed, once for each test.
func (l *load) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, failure := range l.failed {
		t.Error(failure)
	}
	t.Logf("served %v, told to come again %d", l.served, l.later)
	l.failed = nil
}
