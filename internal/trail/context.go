package trail

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"

	"mp3converter/internal/job"
)

// w3c reads and writes W3C Trace Context.
var w3c propagation.TraceContext

func encode(c oteltrace.SpanContext) (parent, state string) {
	if !c.IsValid() {
		return "", ""
	}
	carrier := propagation.MapCarrier{}
	w3c.Inject(oteltrace.ContextWithSpanContext(context.Background(), c), carrier)
	return carrier[job.HeaderParent], carrier[job.HeaderState]
}

func decode(t job.Trail) (oteltrace.SpanContext, bool) {
	if t.Parent == "" {
		return oteltrace.SpanContext{}, false
	}
	carrier := propagation.MapCarrier{job.HeaderParent: t.Parent, job.HeaderState: t.State}
	c := oteltrace.SpanContextFromContext(w3c.Extract(context.Background(), carrier))
	return c, c.IsValid()
}
