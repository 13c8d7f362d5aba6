package otlp_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"mp3converter/internal/job"
	"mp3converter/internal/settings"
	"mp3converter/internal/trail"
	"mp3converter/internal/trail/otlp"
)

func load(t *testing.T, environ ...string) (otlp.Settings, error) {
	t.Helper()
	s, err := settings.Load[otlp.Settings](environ)
	return s, err
}

func TestMistakesAreNamed(t *testing.T) {
	const on = "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"
	for setting, good := range map[string]bool{
		"OTEL_TRACES_EXPORTER=none":                              true,
		"OTEL_TRACES_EXPORTER=zipkin":                            false,
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318":      true,
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://c.example/otlp/":    true,
		"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318":             false,
		"OTEL_EXPORTER_OTLP_HEADERS=api-key=s%20ecret, tenant=1": true,
		"OTEL_EXPORTER_OTLP_HEADERS=s3cret":                      false,
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc":                       false,
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio":           true,
		"OTEL_TRACES_SAMPLER=always_off":                         true,
		"OTEL_TRACES_SAMPLER=jaeger_remote":                      false,
		"OTEL_RESOURCE_ATTRIBUTES=malformed":                     true, // and warned of
	} {
		_, err := load(t, on, setting) // the later of two counts
		name, _, _ := strings.Cut(setting, "=")
		if good != (err == nil) || err != nil && (!strings.HasPrefix(err.Error(), name+": ") || strings.Contains(err.Error(), "s3cret")) {
			t.Errorf("%s: %v", setting, err)
		}
	}
	for arg, good := range map[string]bool{"0": true, "0.25": true, "1": true, "1.5": false, "-1": false, "a quarter": false} {
		if _, err := load(t, on, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG="+arg); good != (err == nil) {
			t.Errorf("OTEL_TRACES_SAMPLER_ARG=%s: %v", arg, err)
		}
	}
}

// A platform's variables, made for other programs, stop nobody who traces nothing.
func TestWhereNothingIsTracedNoVariableIsAMistake(t *testing.T) {
	foreign := []string{
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_HEADERS=s3cret", "OTEL_TRACES_SAMPLER=jaeger_remote", "OTEL_RESOURCE_ATTRIBUTES=malformed",
	}
	for _, off := range [][]string{nil, {"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317"},
		{"OTEL_SDK_DISABLED=True", "OTEL_TRACES_EXPORTER=zipkin", "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317"}} {
		var log bytes.Buffer
		span(t, &log, append(off, foreign...)...)
		if log.Len() > 0 {
			t.Errorf("%v: %s", off, &log)
		}
	}
}

// collector answers with one status after the other, the last for good, and notes the spans of what it takes.
type collector struct {
	*httptest.Server
	asked   atomic.Int32
	names   chan string
	of      map[string]string // the last span's resource
	headers http.Header
}

func newCollector(t *testing.T, statuses ...int) *collector {
	t.Helper()
	c := &collector{names: make(chan string, 100)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(c.asked.Add(1)) - 1
		status := statuses[min(n, len(statuses)-1)]
		if status == http.StatusOK {
			body, _ := io.ReadAll(r.Body)
			data := &tracepb.TracesData{}
			if err := proto.Unmarshal(body, data); err != nil || r.URL.Path != "/base/v1/traces" {
				t.Errorf("%s: %v", r.URL, err)
			}
			c.headers = r.Header
			c.of = map[string]string{}
			for _, a := range data.GetResourceSpans()[0].GetResource().GetAttributes() {
				c.of[a.GetKey()] = a.GetValue().GetStringValue()
			}
			for _, s := range data.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans() {
				c.names <- s.GetName()
			}
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(c.Close)
	return c
}

// span has one span made and sent, as the end of a process has it, and returns how long the end took.
func span(t *testing.T, log io.Writer, environ ...string) time.Duration {
	t.Helper()
	s, err := load(t, environ...)
	if err != nil {
		t.Fatal(err)
	}
	tracer, stop, err := otlp.Start(s, "test", "v1", slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, one := trail.Begin(trail.Traced(t.Context(), tracer), trail.Server, "one", job.Trail{})
	one.End(nil)
	start := time.Now()
	stop()
	return time.Since(start)
}

// reach has span reach a new collector with those statuses. An end that was cut short, as a busy machine may have it, is made
// again.
func reach(t *testing.T, log *bytes.Buffer, statuses []int, environ ...string) *collector {
	t.Helper()
	const lastWords = 3 * time.Second
	for range 10 {
		c := newCollector(t, statuses...)
		log.Reset()
		if span(t, log, append(environ, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL+"/base")...) < lastWords {
			return c
		}
	}
	t.Fatal("each end was cut short")
	return nil
}

func TestSpansAreSent(t *testing.T) {
	for name, statuses := range map[string][]int{"at once": {200}, "when the collector is back": {503, 200}} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c := reach(t, &log, statuses, "OTEL_EXPORTER_OTLP_HEADERS=Api-Key=a%20b")
			if n := len(c.names); n != 1 || c.headers.Get("Api-Key") != "a b" {
				t.Errorf("%d spans, with key %q", n, c.headers.Get("Api-Key"))
			}
		})
	}
}

func TestTracesSayWhoseTheyAre(t *testing.T) {
	const none = ""
	type resource = map[string]string
	for attributes, tt := range map[string]struct {
		more resource
		warn string
	}{
		none:                              {},
		"deployment.environment=a%20b,c=": {more: resource{"deployment.environment": "a b", "c": ""}},
		"a=b,service.version=v2,":         {more: resource{"a": "b", "service.version": "v2"}},
		"a=b,malformed":                   {warn: "OTEL_RESOURCE_ATTRIBUTES"},
		"a=%zz,b=c":                       {warn: "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		for name, want := range map[string]string{none: "test", "mine": "mine"} {
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", attributes) // where the SDK would find it
			var log bytes.Buffer
			c := reach(t, &log, []int{200}, "OTEL_RESOURCE_ATTRIBUTES="+attributes, "OTEL_SERVICE_NAME="+name)
			all := resource{"service.name": want, "service.version": "v1"}
			maps.Copy(all, tt.more)
			if diff := cmp.Diff(all, c.of); diff != "" {
				t.Errorf("%q, %q: the resource (-want +got)\n%s", attributes, name, diff)
			}
			if warned := strings.Contains(log.String(), "WARN"); warned != (tt.warn != "") || !strings.Contains(log.String(), tt.warn) {
				t.Errorf("%q: the log has\n%s", attributes, &log)
			}
		}
	}
}

func TestDisabledIsOneWord(t *testing.T) {
	for word, warned := range map[string]bool{"1": true, "yes": true, "false": false, "FALSE": false, "": false} {
		var log bytes.Buffer
		c := reach(t, &log, []int{200}, "OTEL_SDK_DISABLED="+word)
		if c.asked.Load() == 0 || strings.Contains(log.String(), "OTEL_SDK_DISABLED") != warned {
			t.Errorf("OTEL_SDK_DISABLED=%s: asked %d times; the log has\n%s", word, c.asked.Load(), &log)
		}
	}
}

func TestNothingIsSentUnlessAsked(t *testing.T) {
	c := newCollector(t, 200)
	endpoint := "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL + "/base"
	for _, environ := range [][]string{{}, {"OTEL_TRACES_EXPORTER=none", endpoint}, {"OTEL_SDK_DISABLED=true", endpoint}, {"OTEL_TRACES_SAMPLER=always_off", endpoint},
		{"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0", endpoint}} {
		span(t, io.Discard, environ...)
		if n := c.asked.Load(); n != 0 {
			t.Errorf("%v: asked %d times", environ, n)
		}
	}
}

// A collector that is away, refuses or hangs costs the end of a process a few seconds at most, and a line of the log.
func TestTheEndDoesNotWaitForACollector(t *testing.T) {
	hang := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(hang) })
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, url := range map[string]string{"away": gone.URL, "refusing": newCollector(t, 400).URL, "hanging": hanging.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			done := make(chan time.Duration, 1)
			go func() { done <- span(t, &log, "OTEL_EXPORTER_OTLP_ENDPOINT="+url) }()
			select {
			case <-done:
			case <-ctx.Done():
				t.Fatal("the end has not come")
			}
		})
	}
}
