package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// counting returns a router as services have theirs, and what it counts.
func counting() (http.Handler, *prometheus.Registry) {
	counted, r := prometheus.NewRegistry(), chi.NewRouter()
	r.Use(Log(slog.New(slog.DiscardHandler), counted))
	r.Get("/jobs/{id}", func(w http.ResponseWriter, _ *http.Request) { Text(w, http.StatusOK, "a job") })
	r.Get("/answer", func(w http.ResponseWriter, r *http.Request) {
		var code int
		_, _ = fmt.Sscan(r.URL.Query().Get("code"), &code)
		w.WriteHeader(code)
	})
	r.Get("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.WriteHeader(http.StatusOK)
		if _, n := series(counted, "http_streams"); n != 1 {
			panic(fmt.Sprint(n, " streams while there is one"))
		}
	})
	return r, counted
}

// series is how many one metric has, and the value of the first if that is a gauge.
func series(registry *prometheus.Registry, name string) (n int, first float64) {
	families, _ := registry.Gather()
	for _, f := range families {
		if f.GetName() == name {
			return len(f.GetMetric()), f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0, 0
}

func TestNoClientMakesUpALabel(t *testing.T) {
	router, counted := counting()
	for i := range 500 {
		for method, path := range map[string]string{
			http.MethodGet: fmt.Sprintf("/jobs/%d", i), fmt.Sprintf("M%d", i): "/jobs/1", http.MethodPost: fmt.Sprintf("/no/%d", i),
		} {
			router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, http.NoBody))
		}
		router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, fmt.Sprintf("/answer?code=%d", 200+i%400), http.NoBody))
	}
	// The job, three kinds of misses, and the answers: by class 4, by code those that have a name and one for all others.
	named := 0
	for code := 200; code < 600; code++ {
		if http.StatusText(code) != "" {
			named++
		}
	}
	for name, most := range map[string]int{"http_request_seconds": 3 + 4, "http_requests_total": 3 + named + 1} {
		if n, _ := series(counted, name); n == 0 || n > most {
			t.Errorf("%s has %d series, want at most %d", name, n, most)
		}
	}
}

func TestAStreamOfEventsIsNoSlowAnswer(t *testing.T) {
	router, counted := counting()
	answer := httptest.NewRecorder()
	router.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/events", http.NoBody))
	if answer.Code != http.StatusOK {
		t.Fatalf("answered %d", answer.Code)
	}
	if n, _ := series(counted, "http_request_seconds"); n != 0 {
		t.Errorf("the stream is among the times of answers: %d series", n)
	}
	n, _ := series(counted, "http_requests_total")
	if _, under := series(counted, "http_streams"); n != 1 || under != 0 {
		t.Errorf("%d series of requests, want 1; %v streams under way, want 0", n, under)
	}
}
