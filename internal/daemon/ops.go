package daemon

import (
	"context"
	"fmt"
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
	at     time.Time // of missing
	lacks  []string
}

type check struct {
	name string
	ok   func(ctx context.Context) error
}

// Needs adds a dependency without which the service is not ready.
func (p *Process) Needs(name string, ok func(ctx context.Context) error) {
	p.ready.mu.Lock()
	defer p.ready.mu.Unlock()
	p.ready.checks = append(p.ready.checks, check{name, ok})
}

// missing names what is away, each with its reason.
func (r *readiness) missing(ctx context.Context) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.at) < checkFresh {
		return r.lacks
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	lacks := make([]string, len(r.checks))
	var running sync.WaitGroup
	for i, c := range r.checks {
		running.Go(func() {
			if err := c.ok(ctx); err != nil {
				lacks[i] = fmt.Sprintf("%s: %v", c.name, err)
			}
		})
	}
	running.Wait()
	r.lacks = slices.DeleteFunc(lacks, func(s string) bool { return s == "" })
	r.at = time.Now()
	return r.lacks
}

// serveOps serves the ops port until the process ends: longer than the service itself, so that probes and metrics see
// it stop.
func (p *Process) serveOps() error {
	if p.settings.Ops == "" {
		return nil
	}
	_, err := p.Serve("ops", p.settings.Ops, p.OpsHandler())
	return err
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
		if lacks := p.ready.missing(r.Context()); len(lacks) > 0 {
			web.Text(w, http.StatusServiceUnavailable, "not ready:\n"+strings.Join(lacks, "\n"))
			return
		}
		web.Text(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.Metrics, promhttp.HandlerOpts{}))
	return mux
}
