package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mp3converter/internal/trail"
)

// event is what the one log line about a request will say.
type event struct {
	id string

	mu    sync.Mutex
	level slog.Level
	facts []any
}

type eventKey struct{}

// Note adds facts, alternating keys and values, to the request's log line. The key slog.LevelKey sets the line's level.
func Note(ctx context.Context, facts ...any) {
	e, ok := ctx.Value(eventKey{}).(*event)
	if !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := 0; i+1 < len(facts); i += 2 {
		if level, ok := facts[i+1].(slog.Level); ok && facts[i] == slog.LevelKey {
			e.level = level
			continue
		}
		e.facts = append(e.facts, facts[i], facts[i+1])
	}
}

// RequestID returns the id under which the request is logged; the client sees it as X-Request-Id.
func RequestID(ctx context.Context) string {
	if e, ok := ctx.Value(eventKey{}).(*event); ok {
		return e.id
	}
	return ""
}

type insideKey struct{}

// Inside, before Log, says that requests come from services of ours: their traces go on here. Those of others are only linked.
func Inside(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), insideKey{}, true)))
	})
}

// Log gives each request an id, unless it brings a good one, and writes one line about it when it has ended, and counts it, with status 0 if it is broken
// off unanswered. A handler that panics has its stack logged and is answered with 500.
func Log(log *slog.Logger, registry prometheus.Registerer) func(http.Handler) http.Handler {
	counted := newMetrics(registry)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			r, span := trail.Request(r, r.Context().Value(insideKey{}) != nil)
			e, rec := &event{id: trail.RequestID(r.Context())}, record(w)
			rec.streams = counted.streams
			rec.Header().Set("X-Request-Id", e.id)
			r = r.WithContext(context.WithValue(r.Context(), eventKey{}, e))
			defer func() {
				cause := recover()
				if cause != nil && cause != http.ErrAbortHandler { //nolint:errorlint // the very value, as net/http compares it
					Note(r.Context(), slog.LevelKey, slog.LevelError, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
					if rec.status == 0 {
						Write(rec, r, Refusal{Code: http.StatusInternalServerError, Text: "internal server error"})
						cause = nil
					}
				}
				took, code := time.Since(start), rec.status
				if code == 0 && cause == nil {
					code = http.StatusOK // nothing written: net/http answers 200
				} // else there is no answer
				counted.ended(r, rec, code, took)
				endSpan(span, r, code)
				e.write(log, r, code, rec.bytes, took)
				if cause != nil {
					panic(http.ErrAbortHandler)
				}
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

func endSpan(span trail.Span, r *http.Request, code int) {
	if !span.On() {
		return
	}
	span.Name(method(r) + " " + route(r))
	span.Set(trail.String("http.request.method", method(r)), trail.String("http.route", route(r)), trail.Int("http.response.status_code", code))
	var err error
	if code >= http.StatusInternalServerError || code == 0 {
		err = errors.New(class(code))
	}
	span.End(err)
}

func (e *event) write(log *slog.Logger, r *http.Request, code int, bytes int64, took time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	facts := append([]any{
		"request", e.id, "method", r.Method, "path", r.URL.Path, "status", code, "bytes", bytes,
		"took", took.Round(time.Microsecond).String(), "client", r.RemoteAddr,
	}, e.facts...)
	log.Log(r.Context(), e.level, "request", facts...)
}

// Secure sets the headers that every answer has. A chunked request is the last of its connection: it may have had a length
// too, which net/http drops, and then RFC 9112, 6.1, has the connection closed, lest somebody in front has read another end.
func Secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if len(r.TransferEncoding) > 0 {
			h.Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// writeTime is enough for any answer that is not a file.
const writeTime = 30 * time.Second

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status  int
	bytes   int64
	stream  bool             // of events
	streams prometheus.Gauge // nil where nobody counts
}

func record(w http.ResponseWriter) *recorder {
	if rec, ok := w.(*recorder); ok {
		return rec
	}
	return &recorder{ResponseWriter: w}
}

func (r *recorder) WriteHeader(code int) {
	if r.status == 0 && code >= 200 { // 1xx come before the answer
		r.status = code
		if r.streams != nil && isStream(r.Header()) {
			r.stream = true
			r.streams.Inc()
		}
		// A client that takes nothing of its answer holds a goroutine no longer than this. Whoever sends much extends it.
		_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Now().Add(writeTime))
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
