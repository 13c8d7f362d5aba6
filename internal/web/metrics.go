package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are what is counted of requests. Clients choose none of the labels: a route is a pattern, methods and statuses are
// known ones.
type metrics struct {
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	streams prometheus.Gauge
}

func newMetrics(to prometheus.Registerer) metrics {
	factory := promauto.With(to)
	return metrics{
		total: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total", Help: "Requests that have ended; code 0 is one that was broken off unanswered.",
		}, []string{"route", "method", "code"}),
		seconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_seconds", Help: "Time from the request's header to the end of its answer, but for streams of events.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60, 600},
		}, []string{"route", "method", "class"}),
		streams: factory.NewGauge(prometheus.GaugeOpts{
			Name: "http_streams", Help: "Streams of events under way.",
		}),
	}
}

// ended counts a request. How long a stream of events lasts is up to its reader, and says nothing about us.
func (m metrics) ended(r *http.Request, rec *recorder, code int, took time.Duration) {
	route, method := route(r), method(r)
	m.total.WithLabelValues(route, method, codeLabel(code)).Inc()
	if rec.stream {
		m.streams.Dec()
		return
	}
	m.seconds.WithLabelValues(route, method, class(code)).Observe(took.Seconds())
}

// route is the pattern that matched, so that metrics have one label for all jobs.
func route(r *http.Request) string {
	if ctx := chi.RouteContext(r.Context()); ctx != nil && ctx.RoutePattern() != "" {
		return ctx.RoutePattern()
	}
	return "none"
}

// method keeps a client from making up labels.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	default:
		return "other"
	}
}

// codeLabel is a status that HTTP has a word for: whom we pass on may answer anything.
func codeLabel(code int) string {
	if code != 0 && http.StatusText(code) == "" {
		return "other"
	}
	return codes[code]
}

// codes spells each status once.
var codes = func() (spelt [600]string) {
	for code := range spelt {
		spelt[code] = strconv.Itoa(code)
	}
	return spelt
}()

// class is 2xx to 5xx, none for a request that was broken off unanswered.
func class(code int) string {
	if code < 100 || code > 599 {
		return "none"
	}
	return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}[code/100-1]
}

// isStream reports whether an answer is server-sent events. It is asked of each.
func isStream(h http.Header) bool {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return media == "text/event-stream"
}
