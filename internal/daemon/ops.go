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

// health names what is away, each with its reason.
type health struct {
	lacks  []string // nothing works without
	misses []string // the service copes without, for a while
}

func (h health) String() string {
	switch {
	case len(h.lacks) > 0:
		return "not ready:\n" + strings.Join(slices.Concat(h.lacks, h.misses), "\n")
	case len(h.misses) > 0:
		return "ready, coping without:\n" + strings.Join(h.misses, "\n")
	default:
		return "ready"
	}
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
	r.health = health{}
	for i, c := range r.checks {
		away := fmt.Sprintf("%s: %v", c.name, errs[i])
		switch {
		case errs[i] == nil:
		case c.vital:
			r.health.lacks = append(r.health.lacks, away)
		default:
			r.health.misses = append(r.health.misses, away)
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
func (p *Process) OpsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { web.Text(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if p.ready.stopping.Load() {
			web.Text(w, http.StatusServiceUnavailable, "stopping")
			return
		}
		health, code := p.ready.look(r.Context()), http.StatusOK
		if len(health.lacks) > 0 {
			code = http.StatusServiceUnavailable
		}
		web.Text(w, code, health.String())
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.Metrics, promhttp.HandlerOpts{}))
	return mux
}
