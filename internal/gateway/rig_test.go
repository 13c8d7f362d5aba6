package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"mp3converter/internal/apitest"
	"mp3converter/internal/embedded"
	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
	"mp3converter/internal/outside"
	"mp3converter/internal/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	sid  = "sid@gmail.com"
	ann  = "ann@gmail.com"
	op   = "op@gmail.com"   // the operator
	wait = 30 * time.Second // for what must come; a test that waits that long has failed
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
	stop    func() // tells the gateway that it is stopping

	ledger       *embedded.Ledger
	videos, mp3s *embedded.Files
	hooks        embedded.Hooks
	deliveries   embedded.Deliveries
	dir          string
	authServer   *httptest.Server

	mu    sync.Mutex
	auth  http.HandlerFunc // answers instead of the auth service, unless nil
	rung  []string         // the jobs
	ended []string         // tokens
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
	auth.Wait(wait) // the usual 2 s are less than a busy machine may stand still for
	cfg := gateway.Config{
		Auth: auth, Videos: r.videos, MP3s: r.mp3s, Ledger: r.ledger, Ring: r.ring, Rules: r.rules, Metrics: r.metrics,
		Arrivals: r.videos, Hooks: db.Hooks(), Deliveries: db.Deliveries(), CheckHook: outside.New(outside.Config{}).CheckURL,
	}
	r.hooks, r.deliveries = db.Hooks(), db.Deliveries()
	cfg.Desk = &gateway.Desk{InState: r.ledger.InState, Oldest: r.ledger.Oldest}
	for _, tweak := range tweak {
		tweak(r, &cfg)
	}
	r.rules = cfg.Rules
	r.service = gateway.New(cfg)
	server := httptest.NewUnstartedServer(nil)
	server.Config = web.NewServer(r.service.Routes(), slog.New(slog.DiscardHandler))
	stopping, stop := context.WithCancel(context.Background())
	r.stop = stop
	server.Config.BaseContext = func(net.Listener) context.Context { return web.WithStopping(context.Background(), stopping.Done()) }
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(stop)
	r.addr = server.Listener.Addr().String()
	transport := &http.Transport{ExpectContinueTimeout: wait, MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	r.client = &http.Client{
		Transport: &apitest.Transport{Base: transport, Only: r.answers, Report: func(err error) { t.Error(err) }}, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r
}

// answers reports whether the gateway answers by itself, and passes on nothing that a test has made up in auth's place.
func (r *rig) answers(q *http.Request) bool {
	switch {
	case q.URL.Host != r.addr, q.URL.Path == "/login", q.URL.Path == "/logout":
		return false
	case q.URL.Path == "/session", q.URL.Path == "/session/end":
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.auth == nil
	}
	return true
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

// exp is when every token ends.
const exp = 2_000_000_000

// serveAuth takes "Bearer <e-mail>" for a token and "guest:" before it for one without the claim admin. The password
// sid123 gets anybody the one, and guest the other.
func (r *rig) serveAuth(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	auth := r.auth
	r.mu.Unlock()
	if auth != nil {
		auth(w, req)
		return
	}
	if email, password, ok := req.BasicAuth(); ok && req.URL.Path == "/login" {
		if token, ok := map[string]string{"sid123": email, "guest": "guest:" + email}[password]; ok {
			fmt.Fprint(w, token)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, "invalid credentials")
		return
	}
	who, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if r.hasEnded(who, req.URL.Path == "/logout") {
		ok = false
	}
	who, guest := strings.CutPrefix(who, "guest:")
	if !ok || !strings.Contains(who, "@") {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "not authorized")
		return
	}
	if req.URL.Path == "/users" {
		fmt.Fprintf(w, `{"users":[{"email":%q,"admin":true,"operator":true}],"next":"x@y.z"}`, strings.Repeat("long", 50)+"@example.com")
		return
	}
	says := map[string]any{"username": who, "admin": !guest, "exp": exp, "iat": 1e9}
	if who == op {
		says["operator"] = true
	}
	_ = json.NewEncoder(w).Encode(says)
}

// hasEnded reports whether the token has ended before, and ends it if it is to.
func (r *rig) hasEnded(token string, end bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := slices.Contains(r.ended, token)
	if end {
		r.ended = append(r.ended, token)
	}
	return before
}

// upload uploads as a user does and returns the job.
func (r *rig) upload(content string) job.Job {
	r.Helper()
	a := r.do(request{path: "/upload", form: file(content)})
	r.want(a, http.StatusOK, "success!")
	return r.job(strings.TrimPrefix(a.header.Get("Location"), "/jobs/"))
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
