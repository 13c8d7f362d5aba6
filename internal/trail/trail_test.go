package trail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"mp3converter/internal/job"
	"mp3converter/internal/trail"
)

const foreign = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// tracing returns a context in which spans are recorded, and those that have ended.
func tracing(t *testing.T) (context.Context, *tracetest.SpanRecorder) {
	t.Helper()
	ended := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(ended))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return trail.Traced(t.Context(), provider.Tracer("test")), ended
}

// tree is each span with its parent, in the order in which they ended.
func tree(spans []sdk.ReadOnlySpan) string {
	names := map[string]string{}
	for _, s := range spans {
		names[s.SpanContext().SpanID().String()] = s.Name()
	}
	var lines []string
	for _, s := range spans {
		lines = append(lines, s.Name()+" < "+names[s.Parent().SpanID().String()])
	}
	return strings.Join(lines, ", ")
}

// step is what a service does for a job, as far as it is followed.
func step(ctx context.Context, j job.Job, err error) job.Trail {
	ctx = trail.Follow(ctx, j)
	ctx, span := trail.Start(ctx, trail.Internal, "step", trail.String("job", j.ID), trail.Int("bytes", j.VideoBytes))
	trail.Past(ctx, "wait", j.Started, j.Waited)
	span.Set(trail.String("state", string(j.State)))
	to := span.Trail(j.Trail())
	span.End(err)
	return to
}

// Where nobody traces nothing is allocated, and what others trace goes on: a service that does not trace is no gap.
func TestWithoutTracingNothingIsDone(t *testing.T) {
	j := job.Job{ID: "a", Request: "r", Traceparent: foreign}
	ctx := trail.With(t.Context(), j.Trail()) // of the message
	failed := errors.New("x")
	if n := testing.AllocsPerRun(100, func() {
		if got := step(ctx, j, failed); got != j.Trail() {
			t.Errorf("the trail goes on as %v", got)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkAStepWithoutTracing(b *testing.B) {
	j := job.Job{ID: "a", Request: "r", Traceparent: foreign}
	ctx := trail.With(b.Context(), j.Trail())
	b.ReportAllocs()
	for b.Loop() {
		step(ctx, j, nil)
	}
}

func TestAJobIsFollowedThroughItsMessages(t *testing.T) {
	ctx, ended := tracing(t)
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/upload", http.NoBody)
	request, root := trail.Request(request, false)
	j := job.Job{ID: "a", Started: time.Now(), Waited: time.Second}
	j.Follow(trail.Of(request.Context()))
	var again job.Trail
	first := trail.Handle("process", func(ctx context.Context, _ job.Message) error {
		again = step(ctx, j, job.ErrBusy)
		return nil
	})
	if err := first(ctx, job.Message{Trail: step(request.Context(), j, nil)}); err != nil {
		t.Error(err)
	}
	// A message that has lost its trail is of no trace until the job is known.
	second := trail.Handle("again", func(ctx context.Context, _ job.Message) error {
		again = step(ctx, j, errors.New("broken"))
		return nil
	})
	if err := second(ctx, job.Message{}); err != nil {
		t.Error(err)
	}
	root.End(nil)
	want := "wait < step, step < POST, wait < step, step < process, process < step, wait < step, step < POST, POST < "
	if got := tree(ended.Ended()); got != want {
		t.Errorf("the spans are %s\nwant %s", got, want)
	}
	if again.Trace() != j.Trail().Trace() || again.Request != j.Request || j.Request == "" {
		t.Errorf("the trail ends as %v, began as %v", again, j.Trail())
	}
	spans := ended.Ended()
	if s := spans[3]; s.Status().Code.String() != "Unset" {
		t.Errorf("that there was nothing to do is %v", s.Status())
	}
	if s := spans[6]; s.Status().Description != "broken" {
		t.Errorf("a failure is %v", s.Status())
	}
	if took := spans[0].EndTime().Sub(spans[0].StartTime()); took != time.Second {
		t.Errorf("the wait took %v", took)
	}
}

// Whoever is asked from outside begins a trace: strangers would have us record what they like, under ids of others.
func TestAStrangersTraceIsOnlyLinked(t *testing.T) {
	for inner, want := range map[bool]string{false: "linked", true: "child"} {
		ctx, ended := tracing(t)
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", http.NoBody)
		r.Header.Set("traceparent", foreign)
		_, span := trail.Request(r, inner)
		span.End(nil)
		s := ended.Ended()[0]
		got := "neither"
		switch {
		case s.SpanContext().TraceID().String() == foreign[3:35] && s.Parent().SpanID().String() == foreign[36:52] && len(s.Links()) == 0:
			got = "child"
		case s.SpanContext().TraceID().String() != foreign[3:35] && !s.Parent().IsValid() &&
			len(s.Links()) == 1 && s.Links()[0].SpanContext.SpanID().String() == foreign[36:52]:
			got = "linked"
		}
		if got != want {
			t.Errorf("of one of ours %v: %s, want %s", inner, got, want)
		}
	}
}

func TestAForeignMessageBeginsATrace(t *testing.T) {
	ctx, ended := tracing(t)
	var adopted job.Trail
	for _, m := range []job.Message{{Foreign: true}, {Foreign: true, Trail: job.Trail{Parent: foreign}}} {
		_ = trail.Handle("process", func(ctx context.Context, _ job.Message) error {
			adopted = trail.Of(ctx)
			return nil
		})(ctx, m)
	}
	if got := tree(ended.Ended()); got != "process < , process < " || adopted.Trace() != foreign[3:35] {
		t.Errorf("the spans are %s, the job's trail %v", got, adopted)
	}
}

func TestWhatIsQuietMakesNoSpans(t *testing.T) {
	ctx, ended := tracing(t)
	ctx, span := trail.Begin(ctx, trail.Server, "root", job.Trail{})
	before := trail.Of(ctx)
	quiet := trail.Quiet(ctx)
	_, none := trail.Start(quiet, trail.Internal, "renew")
	none.End(nil)
	if none.On() || trail.Of(quiet) != before {
		t.Errorf("on %v; from %v to %v", none.On(), before, trail.Of(quiet))
	}
	span.End(nil)
	if n := len(ended.Ended()); n != 1 {
		t.Errorf("%d spans, want 1", n)
	}
}

func TestOnlyAGoodRequestIDIsTaken(t *testing.T) {
	for header, taken := range map[string]bool{
		"abc-1": true, "": false, strings.Repeat("a", 65): false, "a b": false, "a\"}": false, "<script>": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("X-Request-Id", header)
		r, _ = trail.Request(r, false)
		if id := trail.RequestID(r.Context()); (id == header) != taken || !job.IsRequestID(id) {
			t.Errorf("%q became %q", header, id)
		}
	}
}

func TestEveryLineSaysWhatItIsAbout(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(trail.Log(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))).With("service", "test")
	ctx := trail.With(t.Context(), job.Trail{Request: "r1", Parent: foreign})
	log.InfoContext(t.Context(), "nothing")
	log.InfoContext(ctx, "work", "job", "j1")
	log.InfoContext(ctx, "request", "request", "r1")
	want := fmt.Sprintf("level=INFO msg=nothing service=test\nlevel=INFO msg=work service=test job=j1 request=r1 trace=%[1]s\n"+
		"level=INFO msg=request service=test request=r1 trace=%[1]s\n", foreign[3:35])
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestARequestTakesItsTrailAlong(t *testing.T) {
	ctx, ended := tracing(t)
	var came http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came = r.Header
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	client := &http.Client{Transport: trail.Transport(&http.Transport{})}
	defer client.CloseIdleConnections()
	ask := func(ctx context.Context) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/validate", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	ask(t.Context()) // of nobody
	if came.Get("X-Request-Id") != "" || came.Get("traceparent") != "" {
		t.Errorf("sent %v", came)
	}
	r, root := trail.Request(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody), false)
	ask(r.Context())
	root.End(nil)
	if got := tree(ended.Ended()); got != "POST /validate < GET, GET < " {
		t.Errorf("the spans are %s", got)
	}
	if want := ended.Ended()[0].SpanContext().SpanID().String(); !strings.Contains(came.Get("traceparent"), want) ||
		came.Get("X-Request-Id") != trail.RequestID(r.Context()) {
		t.Errorf("sent %v, the span is %s", came, want)
	}
}
