package trail

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"

	"mp3converter/internal/job"
)

// Request puts a request on its trail: under the id that it brings, if that is well-formed and short, or a new one. inner says
// that it comes from one of us, whose trace goes on; any other begins one.
func Request(r *http.Request, inner bool) (_ *http.Request, span Span) {
	came := job.ReadTrail(func(name string) string { return r.Header.Get(canonical(name)) })
	if came.Request == "" {
		came.Request = newRequestID()
	}
	ctx := r.Context()
	if inner {
		ctx, span = Start(With(ctx, came), Server, r.Method)
	} else {
		ctx, span = Begin(With(ctx, job.Trail{Request: came.Request}), Server, r.Method, came)
	}
	span.Set(String("request", came.Request))
	return r.WithContext(ctx), span
}

// canonical spells a header as http.Header keeps it, which to find out costs an allocation where it is spelt otherwise.
func canonical(name string) string {
	switch name {
	case job.HeaderParent:
		return "Traceparent"
	case job.HeaderState:
		return "Tracestate"
	default:
		return name
	}
}

// RequestID is the id of the request that ctx goes back to; "" if there is none.
func RequestID(ctx context.Context) string { return at(ctx).trail.Request }

func newRequestID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand
	return hex.EncodeToString(id[:])
}

// Transport sends requests along the trail of their contexts: to somebody of ours, for what is sent along says more than
// strangers are to know.
func Transport(base http.RoundTripper) http.RoundTripper { return transport{base} }

type transport struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := Start(r.Context(), Client, r.Method+" "+r.URL.Path)
	on := Of(ctx)
	if on == (job.Trail{}) {
		return t.base.RoundTrip(r)
	}
	r = r.Clone(ctx)
	on.Write(r.Header.Set)
	answer, err := t.base.RoundTrip(r)
	if err == nil {
		span.Set(Int("http.response.status_code", answer.StatusCode))
	}
	span.End(err)
	return answer, err
}

// CloseIdleConnections is for http.Client, which asks for it.
func (t transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
