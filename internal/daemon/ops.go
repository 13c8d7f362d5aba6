package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mp3converter/internal/web"
)

// How long a check may take and its result counts: probes of many kubelets must not become a load on the database.
const (
	checkTimeout = 2 * time.Second
	checkFresh   = 2 * time.Second
)

// readiness is what /readyz answers from.
type readiness struct {
	stopping atomic.Bool

	mu     sync.Mutex
	checks []check
	at     time.Time // of health
	health health
}

type check struct {
	name  string
	vital bool
	ok    func(ctx context.Context) error
}

// health is what is away.
type health []away

type away struct {
	check
	err error
}

// without returns the health as of somebody to whom these checks do not matter: what they find is told and no reason.
func (h health) without(names []string) health {
	h = slices.Clone(h)
	for i := range h {
		h[i].vital = h[i].vital && !slices.Contains(names, h[i].name)
	}
	return h
}

func (h health) ready() bool { return !slices.ContainsFunc(h, func(a away) bool { return a.vital }) }

func (h health) String() string {
	text := "ready, coping without:"
	switch {
	case len(h) == 0:
		return "ready"
	case !h.ready():
		text = "not ready:"
	}
	return text + "\n" + strings.Join(h.missing(), "\n")
}

// missing names what is away, each with its reason: first what nothing works without.
func (h health) missing() []string {
	var lacks, misses []string
	for _, a := range h {
		line := fmt.Sprintf("%s: %v", a.name, a.err)
		if a.vital {
			lacks = append(lacks, line)
		} else {
			misses = append(misses, line)
		}
	}
	return append(lacks, misses...)
}

// Needs adds a dependency without which the service is not ready.
func (p *Process) Needs(name string, ok func(ctx context.Context) error) {
	p.ready.add(check{name, true, ok})
}

// Wants adds a dependency that the service copes without, and says so: were it unready, nobody could use the rest.
func (p *Process) Wants(name string, ok func(ctx context.Context) error) {
	p.ready.add(check{name, false, ok})
}

func (r *readiness) add(c check) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks = append(r.checks, c)
}

// unknown returns those of the names that no check has: a typing mistake in a probe.
func (r *readiness) unknown(names []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var unknown []string
	for _, name := range names {
		if !slices.ContainsFunc(r.checks, func(c check) bool { return c.name == name }) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// look runs the checks, unless their results are fresh.
func (r *readiness) look(ctx context.Context) health {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.at) < checkFresh {
		return r.health
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	errs := make([]error, len(r.checks))
	var running sync.WaitGroup
	for i, c := range r.checks {
		running.Go(func() { errs[i] = c.ok(ctx) })
	}
	running.Wait()
	r.health = nil
	for i, c := range r.checks {
		if errs[i] != nil {
			r.health = append(r.health, away{c, errs[i]})
		}
	}
	r.at = time.Now()
	return r.health
}

// serveOps serves the ops port until the process ends: longer than the service itself, so that probes and metrics see
// it stop.
func (p *Process) serveOps() (stop func(), err error) {
	if p.settings.Ops == "" {
		return func() {}, nil
	}
	listener, err := new(net.ListenConfig).Listen(p.ctx, "tcp", p.settings.Ops)
	if err != nil {
		return nil, fmt.Errorf("listen for ops: %w", err)
	}
	server := web.NewServer(p.OpsHandler(), p.Log)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.Log.Error("serve ops", "err", err)
		}
	})
	p.Log.Info("serving", "server", "ops", "addr", listener.Addr().String())
	return func() { server.Close(); serving.Wait() }, nil
}

// OpsHandler answers /livez (no dependencies: a restart would not bring one back), /readyz and /metrics. It logs nothing.
// As at kube-apiserver, /readyz?exclude=mongodb is ready without MongoDB: for whoever would rather have the service's own
// 503 and Retry-After than no service.
func (p *Process) OpsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { web.Text(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if p.ready.stopping.Load() {
			web.Text(w, http.StatusServiceUnavailable, "stopping")
			return
		}
		excluded := r.URL.Query()["exclude"]
		if unknown := p.ready.unknown(excluded); unknown != nil {
			web.Text(w, http.StatusBadRequest, fmt.Sprintf("exclude: no check is called %s", strings.Join(unknown, ", ")))
			return
		}
		health, code := p.ready.look(r.Context()).without(excluded), http.StatusOK
		if !health.ready() {
			code = http.StatusServiceUnavailable
		}
		web.Text(w, code, health.String())
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.Metrics, promhttp.HandlerOpts{}))
	return mux
}
