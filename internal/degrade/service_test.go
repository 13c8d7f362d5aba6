package degrade

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/testsuite"
)

// service is what a Service of Kubernetes is to its pods: one address, behind which each new connection comes to some pod
// that was ready when it was last probed. A pod that is gone by then costs the client its request.
type service struct {
	*testsuite.Door
	mu   sync.Mutex
	pods []*pod
	next int
}

// pod is a program behind a service.
type pod struct {
	addr, ops string
	ready     bool
}

// probeEvery is how soon endpoints follow readiness; every drain in these tests is longer.
const probeEvery = 100 * time.Millisecond

func newService(t *testing.T) *service {
	s := &service{}
	s.Door = testsuite.NewDoorToAny(t, s.pick)
	s.Open(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			s.probe()
			select {
			case <-stop:
				return
			case <-time.After(probeEvery):
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
	return s
}

// add puts a program behind the service, and returns once it gets connections.
func (s *service) add(t *testing.T, p *testsuite.Process) {
	t.Helper()
	in := &pod{addr: p.Serving(t, "http"), ops: "http://" + p.Serving(t, "ops")}
	s.mu.Lock()
	s.pods = append(s.pods, in)
	s.mu.Unlock()
	testsuite.Eventually(t, p.Name+" is an endpoint", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return in.ready
	})
}

// pick takes the ready pods in turn.
func (s *service) pick() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range s.pods {
		s.next++
		if p := s.pods[s.next%len(s.pods)]; p.ready {
			return p.addr
		}
	}
	return ""
}

func (s *service) probe() {
	s.mu.Lock()
	pods := append([]*pod(nil), s.pods...)
	s.mu.Unlock()
	for _, p := range pods {
		a, err := testsuite.Request{Base: p.ops, Path: "/readyz"}.TryBy(prober)
		s.mu.Lock()
		p.ready = err == nil && a.Status == http.StatusOK
		s.mu.Unlock()
	}
}

var prober = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
