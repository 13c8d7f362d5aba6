package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"mp3converter/internal/embedded"
	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
	"mp3converter/internal/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	sid  = "sid@gmail.com"
	ann  = "ann@gmail.com"
	wait = 10 * time.Second // for what must come; a test that waits that long has failed
)

// rig is a gateway that serves over embedded stores, beside an auth service whose tokens are user names.
type rig struct {
	*testing.T
	*system
}

// in is the rig for a subtest.
func (r *rig) in(t *testing.T) *rig { return &rig{t, r.system} }

type system struct {
	addr    string
	service *gateway.Service
	client  *http.Client
	metrics *prometheus.Registry
	rules   job.Rules

	ledger       *embedded.Ledger
	videos, mp3s *embedded.Files
	dir          string
	authServer   *httptest.Server

	mu   sync.Mutex
	auth http.HandlerFunc // answers instead of the auth service, unless nil
	rung []string         // the jobs
}

// setAuth has h answer instead of the auth service.
func (s *system) setAuth(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.auth = h
}

// start starts a gateway. tweak alters its configuration.
func start(t *testing.T, tweak ...func(*rig, *gateway.Config)) *rig {
	t.Helper()
	r := &rig{t, &system{dir: t.TempDir(), rules: job.DefaultRules(), metrics: prometheus.NewRegistry()}}
	db, err := embedded.OpenDB(filepath.Join(r.dir, "db"))
	r.must(err)
	t.Cleanup(func() { r.must(db.Close()) })
	r.ledger = db.Jobs()
	r.videos, r.mp3s = r.files("videos"), r.files("mp3s")

	r.authServer = httptest.NewServer(http.HandlerFunc(r.serveAuth))
	t.Cleanup(r.authServer.Close)
	auth := gateway.NewAuth(r.authServer.Listener.Addr().String(), nil)
	t.Cleanup(auth.Close)
	cfg := gateway.Config{
		Auth: auth, Videos: r.videos, MP3s: r.mp3s, Ledger: r.ledger, Ring: r.ring, Rules: r.rules, Metrics: r.metrics,
	}
	for _, tweak := range tweak {
		tweak(r, &cfg)
	}
	r.rules = cfg.Rules
	r.service = gateway.New(cfg)
	server := httptest.NewUnstartedServer(nil)
	server.Config = web.NewServer(r.service.Routes(), slog.New(slog.DiscardHandler))
	server.Start()
	t.Cleanup(server.Close)
	r.addr = server.Listener.Addr().String()
	transport := &http.Transport{ExpectContinueTimeout: wait, MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	r.client = &http.Client{Transport: transport, Timeout: time.Minute}
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) files(name string) *embedded.Files {
	r.Helper()
	f, err := embedded.OpenFiles(filepath.Join(r.dir, name))
	r.must(err)
	r.Cleanup(func() { r.must(f.Close()) })
	return f
}

// ring notes as doorbell.Doorbell does.
func (r *rig) ring(ctx context.Context, j job.Job) error {
	r.mu.Lock()
	r.rung = append(r.rung, j.ID)
	r.mu.Unlock()
	_, err := r.ledger.Update(ctx, j.ID, func(now *job.Job) error { return now.Rung(time.Now(), r.rules, j.State) })
	if errors.Is(err, job.ErrState) {
		return nil
	}
	return err
}

func (r *rig) rings(id string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rung := range r.rung {
		if rung == id {
			n++
		}
	}
	return n
}

// serveAuth takes "Bearer <e-mail>" for a token and "guest:" before it for one without the claim admin.
func (r *rig) serveAuth(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	auth := r.auth
	r.mu.Unlock()
	if auth != nil {
		auth(w, req)
		return
	}
	who, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	who, guest := strings.CutPrefix(who, "guest:")
	if !ok || !strings.Contains(who, "@") {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "not authorized")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"username": who, "admin": !guest, "exp": 2e9, "iat": 1e9})
}

// request is what a test sends. The zero value of a field is the usual.
type request struct {
	method string // GET, or POST if there is a form or a body
	path   string
	token  string // "-" sends none
	header http.Header
	form   []part
	body   io.Reader
	bytes  int64 // of body, if they are known
}

// part is a part of a form; with a file name it is a file. noName is an empty one.
type part struct{ field, file, content string }

const noName = "\x00"

func file(content string) []part { return []part{{"file", "vid_1.mp4", content}} }

// encode returns the form's body and media type.
func encode(parts []part) ([]byte, string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + p.field + `"`}}
		if p.file != "" {
			h["Content-Disposition"][0] += `; filename="` + strings.NewReplacer(noName, "", `"`, `\"`).Replace(p.file) + `"`
			h.Set("Content-Type", "video/mp4")
		}
		pw, err := w.CreatePart(h)
		if err == nil {
			_, err = io.WriteString(pw, p.content)
		}
		if err != nil {
			panic(err) // memory does not fail
		}
	}
	_ = w.Close() // as above
	return b.Bytes(), w.FormDataContentType()
}

func (r *rig) request(q request) *http.Request {
	r.Helper()
	if q.header == nil {
		q.header = http.Header{}
	}
	if q.form != nil {
		body, media := encode(q.form)
		q.body, q.bytes = bytes.NewReader(body), int64(len(body))
		q.header.Set("Content-Type", media)
	}
	if q.method == "" {
		q.method = http.MethodGet
		if q.body != nil {
			q.method = http.MethodPost
		}
	}
	req, err := http.NewRequestWithContext(r.Context(), q.method, "http://"+r.addr+q.path, q.body)
	r.must(err)
	if q.bytes > 0 {
		req.ContentLength = q.bytes
	}
	req.Header = q.header
	if q.token == "" {
		q.token = sid
	}
	if q.token != "-" {
		req.Header.Set("Authorization", "Bearer "+q.token)
	}
	return req
}

// answer is a response read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // how the body ended, if not well
}

func (r *rig) do(q request) answer {
	r.Helper()
	a, err := r.try(q)
	r.must(err)
	return a
}

func (r *rig) try(q request) (answer, error) {
	r.Helper()
	resp, err := r.client.Do(r.request(q))
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}, nil
}

// want is what an answer must be.
func (r *rig) want(a answer, status int, body string) {
	r.Helper()
	if a.status != status || a.body != body || a.err != nil {
		r.Errorf("answer = %d %.200q (%v), want %d %q", a.status, a.body, a.err, status, body)
	}
}

// wantProblem checks a status and what the text has in it.
func (r *rig) wantProblem(a answer, status int, part string) {
	r.Helper()
	if a.status != status || !strings.Contains(a.body, part) || strings.HasSuffix(a.body, "\n") {
		r.Errorf("answer = %d %.200q, want %d with %q", a.status, a.body, status, part)
	}
}

// upload uploads as a user does and returns the job.
func (r *rig) upload(content string) job.Job {
	r.Helper()
	a := r.do(request{path: "/upload", form: file(content)})
	r.want(a, http.StatusOK, "success!")
	return r.job(strings.TrimPrefix(a.header.Get("Location"), "/jobs/"))
}

func (r *rig) job(id string) job.Job {
	r.Helper()
	j, err := r.ledger.Get(r.Context(), id)
	r.must(err)
	return j
}

// update alters a job as some service would.
func (r *rig) update(id string, change func(j *job.Job) error) job.Job {
	r.Helper()
	j, err := r.ledger.Update(r.Context(), id, change)
	r.must(err)
	return j
}

// insert stores a job that has come about without the gateway.
func (r *rig) insert(j job.Job) job.Job {
	r.Helper()
	r.must(r.ledger.Insert(r.Context(), j))
	return j
}

// put stores a file.
func (r *rig) put(in *embedded.Files, id, content string) job.File {
	r.Helper()
	f, err := in.Put(r.Context(), job.File{ID: id, Job: id, Owner: sid}, strings.NewReader(content))
	r.must(err)
	return f
}

// claim has a converter begin an attempt under the MP3 id that it returns.
func (r *rig) claim(id string) (mp3 string) {
	r.Helper()
	mp3 = job.NewID(time.Now())
	r.update(id, func(j *job.Job) error { return j.Claim(time.Now(), r.rules, "worker", mp3) })
	return mp3
}

// convert has a converter finish the job with an MP3.
func (r *rig) convert(id, content string) job.Job {
	r.Helper()
	f := r.put(r.mp3s, r.claim(id), content)
	return r.update(id, func(j *job.Job) error { return j.Commit(time.Now(), r.rules, j.Attempt, f, 90*time.Second) })
}

// fail has a converter give the job up.
func (r *rig) fail(id string) job.Job {
	r.Helper()
	r.claim(id)
	return r.update(id, func(j *job.Job) error {
		return j.Fail(time.Now(), r.rules, j.Attempt, job.ReasonTruncated, "8.7 of 10.0 s")
	})
}

// content is a stored file's, "" if there is none.
func (r *rig) content(in *embedded.Files, id string) string {
	r.Helper()
	_, f, err := in.Open(r.Context(), id)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	r.must(err)
	defer f.Close()
	b, err := io.ReadAll(f)
	r.must(err)
	return string(b)
}

// all returns the ids of all jobs, whatever their state, that somebody is to see to some day.
func (r *rig) all() []string {
	r.Helper()
	jobs, err := r.ledger.Due(r.Context(), time.Now().Add(1e5*time.Hour), 1000)
	r.must(err)
	var ids []string
	for _, j := range jobs {
		ids = append(ids, string(j.State)+" "+j.ID)
	}
	return ids
}

// stored lists everything in the stores' folders, parts included.
func (r *rig) stored() (names []string) {
	r.Helper()
	for _, store := range []string{"videos", "mp3s"} {
		r.must(filepath.WalkDir(filepath.Join(r.dir, store), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != "lock" {
				names = append(names, path)
			}
			if errors.Is(err, os.ErrNotExist) { // it went while we looked
				return nil
			}
			return err
		}))
	}
	return names
}

// wantNothing checks that nothing is left of anything.
func (r *rig) wantNothing() {
	r.Helper()
	if jobs, files := r.all(), r.stored(); len(jobs) > 0 || len(files) > 0 {
		r.Errorf("left behind: jobs %q, files %q", jobs, files)
	}
}

// eventually waits for what needs time.
func (r *rig) eventually(what string, ok func() bool) {
	r.Helper()
	for deadline := time.Now().Add(wait); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatalf("waited in vain: %s", what)
		}
	}
}

// gauge is the value of a metric without labels.
func (r *rig) gauge(name string) float64 {
	r.Helper()
	families, err := r.metrics.Gather()
	r.must(err)
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	r.Fatalf("no metric %s", name)
	return 0
}

// dial opens a connection of its own, on which nothing takes longer than a test may.
func (r *rig) dial() net.Conn {
	r.Helper()
	c, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.addr)
	r.must(err)
	r.Cleanup(func() { _ = c.Close() })
	r.must(c.SetDeadline(time.Now().Add(wait)))
	return c
}

// proxy forwards connections to the gateway and counts what clients send.
func (r *rig) proxy() (addr string, sent *atomic.Int64) {
	r.Helper()
	l, err := (&net.ListenConfig{}).Listen(r.Context(), "tcp", "127.0.0.1:0")
	r.must(err)
	sent = new(atomic.Int64)
	var g sync.WaitGroup
	g.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.Go(func() { r.forward(c, sent) })
		}
	})
	r.Cleanup(func() { _ = l.Close(); g.Wait() })
	return l.Addr().String(), sent
}

func (r *rig) forward(c net.Conn, sent *atomic.Int64) {
	up, err := net.Dial("tcp", r.addr) //nolint:noctx // ends with its client
	if err != nil {
		_ = c.Close()
		return
	}
	var g sync.WaitGroup
	g.Go(func() {
		_, _ = io.Copy(io.MultiWriter(up, counter{sent}), c)
		_ = up.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(c, up)
	_ = c.Close()
	g.Wait()
	_ = up.Close()
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}
