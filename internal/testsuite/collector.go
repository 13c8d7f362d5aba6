package testsuite

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector takes spans as an OpenTelemetry collector does: by OTLP over HTTP.
type Collector struct {
	URL string

	mu    sync.Mutex
	spans []CollectedSpan
}

// CollectedSpan is what a test asks of a span.
type CollectedSpan struct {
	Service, Name     string
	Trace, ID, Parent string // hex; Parent is "" of a root
	Start             time.Time
	Took              time.Duration
	Failed            string // why
	Links             []string
	Attributes        map[string]string
}

// Settings have a program send its spans soon.
func (c *Collector) Settings() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_BSP_SCHEDULE_DELAY=50"}
}

// StartCollector starts a collector that ends with the test.
func StartCollector(t *testing.T) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		data := &tracepb.TracesData{}
		if err == nil {
			err = proto.Unmarshal(body, data)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("the collector was sent %s %s, %s: %v", r.Method, r.URL, r.Header.Get("Content-Type"), err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.take(data)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *Collector) take(data *tracepb.TracesData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range data.GetResourceSpans() {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, collected(service, s))
			}
		}
	}
}

func collected(service string, s *tracepb.Span) CollectedSpan {
	span := CollectedSpan{
		Service: service, Name: s.GetName(), Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()),
		Parent: hex.EncodeToString(s.GetParentSpanId()), Start: time.Unix(0, int64(s.GetStartTimeUnixNano())),
		Took:       time.Duration(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano()),
		Attributes: map[string]string{},
	}
	if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		span.Failed = cmp.Or(s.GetStatus().GetMessage(), "failed")
	}
	for _, l := range s.GetLinks() {
		span.Links = append(span.Links, hex.EncodeToString(l.GetTraceId()))
	}
	for _, a := range s.GetAttributes() {
		span.Attributes[a.GetKey()] = a.GetValue().GetStringValue()
		if n := a.GetValue().GetIntValue(); n != 0 {
			span.Attributes[a.GetKey()] = fmt.Sprint(n)
		}
	}
	return span
}

// Spans are those that have come so far, by their beginnings.
func (c *Collector) Spans() []CollectedSpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedStableFunc(slices.Values(c.spans), func(a, b CollectedSpan) int { return a.Start.Compare(b.Start) })
}

// Tree draws spans, each below its parent: a parent that never came, as of a process that was killed, is a line of its own. With
// times it says when each began, and how long it took.
func Tree(spans []CollectedSpan, times bool) string {
	var out strings.Builder
	children, there := map[string][]CollectedSpan{}, map[string]bool{}
	for _, s := range spans {
		there[s.ID] = true
		children[s.Parent] = append(children[s.Parent], s)
	}
	var draw func(parent, indent string)
	draw = func(parent, indent string) {
		for _, s := range children[parent] {
			fmt.Fprintf(&out, "%s%s: %s", indent, s.Service, s.Name)
			if times {
				fmt.Fprintf(&out, "  [+%v, %v]", s.Start.Sub(spans[0].Start).Round(100*time.Microsecond), s.Took.Round(100*time.Microsecond))
			}
			if s.Failed != "" {
				fmt.Fprintf(&out, "  FAILED: %s", s.Failed)
			}
			out.WriteString("\n")
			draw(s.ID, indent+"   ")
		}
	}
	draw("", "")
	for _, s := range spans {
		if s.Parent != "" && !there[s.Parent] {
			there[s.Parent] = true
			fmt.Fprintf(&out, "(%s: its process was killed)\n", s.Service)
			draw(s.Parent, "   ")
		}
	}
	return out.String()
}
