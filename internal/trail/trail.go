// Package trail is how one upload is followed through all services: by the id of the request that began it, which stands in
// every line of the log, and by an OpenTelemetry trace, if somebody traces. Both travel in contexts here, and in a job.Trail
// between processes: in headers of HTTP and of messages, and in the job itself.
//
// Whoever does something worth seeing begins a Span from its context. Where nobody traces that is nothing and costs nothing.
// Only who takes requests or messages begins a trace; what goes on by itself, as a sweep, belongs to none. The SDK, and where
// spans go, is package otlp's.
package trail

import (
	"context"

	oteltrace "go.opentelemetry.io/otel/trace"

	"mp3converter/internal/job"
)

type key struct{}

// point is where on a trail a context stands.
type point struct {
	tracer oteltrace.Tracer // nil if nobody traces
	span   oteltrace.Span   // nil if it is another process's, see trail
	trail  job.Trail        // up to here, but for span
}

var nowhere point

// at never returns nil.
func at(ctx context.Context) *point {
	if p, ok := ctx.Value(key{}).(*point); ok {
		return p
	}
	return &nowhere
}

func (p *point) in(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, p) }

// Traced returns a context in which spans are made. A nil tracer makes none.
func Traced(ctx context.Context, tracer oteltrace.Tracer) context.Context {
	if tracer == nil {
		return ctx
	}
	p := *at(ctx)
	p.tracer = tracer
	return p.in(ctx)
}

// With returns a context that goes on where t has led.
func With(ctx context.Context, t job.Trail) context.Context {
	p := at(ctx)
	if t == (job.Trail{}) && p.span == nil || p.span == nil && p.trail == t {
		return ctx
	}
	return (&point{tracer: p.tracer, trail: t}).in(ctx)
}

// Follow returns a context that is on the job's trail: ctx itself if it is already, as after a message of the job.
func Follow(ctx context.Context, j job.Job) context.Context {
	t := j.Trail()
	p := at(ctx)
	if p.span == nil && p.trail == t {
		return ctx
	}
	if t.Parent == "" || p.trace() == t.Trace() {
		if t.Request == "" || t.Request == p.trail.Request {
			return ctx
		}
		next := *p
		next.trail.Request = t.Request
		return next.in(ctx)
	}
	return With(ctx, t)
}

// Of is what leads on from here, for whoever comes next: in another process, or later.
func Of(ctx context.Context) job.Trail {
	p := at(ctx)
	t := p.trail
	if p.span != nil {
		t.Parent, t.State = encode(p.span.SpanContext())
	}
	return t
}

// Quiet returns a context in which no spans are made: for what is repeated as long as something else lasts.
func Quiet(ctx context.Context) context.Context {
	p := at(ctx)
	if p.tracer == nil {
		return ctx
	}
	return (&point{trail: Of(ctx)}).in(ctx)
}

// trace is the id of the trace; "" outside of any.
func (p *point) trace() string {
	if p.span != nil {
		return p.span.SpanContext().TraceID().String()
	}
	return p.trail.Trace()
}
