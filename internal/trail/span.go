package trail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"

	"mp3converter/internal/job"
)

// Kind says between whom a span is, in OpenTelemetry's words.
type Kind = oteltrace.SpanKind

// The kinds.
const (
	Internal = oteltrace.SpanKindInternal
	Server   = oteltrace.SpanKindServer
	Client   = oteltrace.SpanKindClient
	Producer = oteltrace.SpanKindProducer
	Consumer = oteltrace.SpanKindConsumer
)

// Attr is one thing that is worth knowing of a span.
type Attr struct {
	key, text string
	number    int64
	isNumber  bool
}

// String is an attribute.
func String(key, value string) Attr { return Attr{key: key, text: value} }

// Int is an attribute.
func Int[N ~int | ~int64](key string, value N) Attr {
	return Attr{key: key, number: int64(value), isNumber: true}
}

// Span is a step of a trail. The zero Span is of nobody who traces; everything can be done with it.
type Span struct{ span oteltrace.Span }

// Start begins a step from where ctx stands. It must be ended.
func Start(ctx context.Context, kind Kind, name string, attrs ...Attr) (context.Context, Span) {
	p := at(ctx)
	if p.tracer == nil || p.span == nil && p.trail.Parent == "" {
		return ctx, Span{}
	}
	return p.start(ctx, name, oteltrace.WithSpanKind(kind), oteltrace.WithAttributes(known(attrs)...))
}

// Past is a step that nobody was there to begin: it is over, at that time.
func Past(ctx context.Context, name string, end time.Time, took time.Duration) {
	p := at(ctx)
	if p.tracer == nil || p.span == nil && p.trail.Parent == "" {
		return
	}
	_, s := p.start(ctx, name, oteltrace.WithTimestamp(end.Add(-took)))
	s.span.End(oteltrace.WithTimestamp(end))
}

// Begin begins a trace, for the request that ctx knows. What somebody else has sent along is only linked: who sampled it, and
// what else goes by its id, is not for strangers to say.
func Begin(ctx context.Context, kind Kind, name string, link job.Trail) (context.Context, Span) {
	p := at(ctx)
	if p.tracer == nil {
		return ctx, Span{}
	}
	options := []oteltrace.SpanStartOption{oteltrace.WithSpanKind(kind), oteltrace.WithNewRoot()}
	if other, ok := decode(link); ok {
		options = append(options, oteltrace.WithLinks(oteltrace.Link{SpanContext: other}))
	}
	return p.start(ctx, name, options...)
}

// start begins a span of p's, whose tracer is not nil.
func (p *point) start(ctx context.Context, name string, options ...oteltrace.SpanStartOption) (context.Context, Span) {
	parent := context.Background() // the tracer wants no more of ctx than this
	if p.span != nil {
		parent = oteltrace.ContextWithSpan(parent, p.span)
	} else if other, ok := decode(p.trail); ok {
		parent = oteltrace.ContextWithRemoteSpanContext(parent, other)
	}
	_, span := p.tracer.Start(parent, name, options...)
	return (&point{tracer: p.tracer, span: span, trail: job.Trail{Request: p.trail.Request}}).in(ctx), Span{span}
}

// On reports whether somebody traces: for what costs something to tell.
func (s Span) On() bool { return s.span != nil }

// Set adds attributes.
func (s Span) Set(attrs ...Attr) {
	if s.span != nil {
		s.span.SetAttributes(known(attrs)...)
	}
}

// Name replaces the name.
func (s Span) Name(name string) {
	if s.span != nil {
		s.span.SetName(name)
	}
}

// Trail is what leads on from the span, t if there is none.
func (s Span) Trail(t job.Trail) job.Trail {
	if s.span != nil {
		t.Parent, t.State = encode(s.span.SpanContext())
	}
	return t
}

// End ends the span. That there was nothing to do, or that somebody else has done it, is no failure.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	switch {
	case err == nil:
	case errors.Is(err, job.ErrBusy), errors.Is(err, job.ErrNotYet), errors.Is(err, job.ErrState), errors.Is(err, job.ErrLost),
		errors.Is(err, fs.ErrNotExist):
		s.span.SetAttributes(attribute.String("outcome", brief(err)))
	default:
		s.span.SetStatus(codes.Error, brief(err))
	}
	s.span.End()
}

// brief bounds what goes out of an error. Those who make errors keep secrets out of them: they are logged as well.
func brief(err error) string { return fmt.Sprintf("%.300s", err.Error()) }

func known(attrs []Attr) []attribute.KeyValue {
	all := make([]attribute.KeyValue, len(attrs))
	for i, a := range attrs {
		if a.isNumber {
			all[i] = attribute.Int64(a.key, a.number)
		} else {
			all[i] = attribute.String(a.key, a.text)
		}
	}
	return all
}
