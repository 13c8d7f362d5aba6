package apitest

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

const streaming = `{"paths":{"/events":{"get":{"responses":{"200":{"content":{"text/event-stream":{"x-events":{
	"job":{"type":"object","required":["id"],"properties":{"id":{"type":"string"}}},"reset":{}}}}}}}}}}`

func TestEventsAreHeldAgainstTheDocument(t *testing.T) {
	d, err := Parse([]byte(streaming))
	if err != nil {
		t.Fatal(err)
	}
	x := Exchange{Method: http.MethodGet, URL: &url.URL{Path: "/events"}, Status: http.StatusOK}
	for name, tt := range map[string]struct{ stream, want string }{
		"good":                    {"retry: 3\n\n: beat\n\nevent: reset\ndata: {}\n\nevent: job\nid: 5\ndata: {\"id\":\ndata: \"a\"}\n\n", ""},
		"lines as Windows has":    {"event: job\r\ndata: {\"id\":\"a\"}\r\n\r\n", ""},
		"cut off":                 {"event: job\ndata: {\"id\":5}", ""},
		"an event of nobody":      {"event: lost\ndata: {}\n\n", `the event "lost" is missing`},
		"one without a name":      {"data: {}\n\n", `the event "" is missing`},
		"other data":              {"event: job\ndata: {\"id\":5}\n\n", "got number, want string"},
		"no JSON":                 {"event: job\ndata: x\n\n", "invalid"},
		"a field too many":        {"event: job\ndata: {\"id\":\"a\",\"b\":1}\n\n", "'b' not allowed"},
		"a mistake after a good":  {"event: reset\ndata: {}\n\nevent: job\ndata: {}\n\n", "missing property 'id'"},
		"a name is not inherited": {"event: job\ndata: {\"id\":\"a\"}\n\ndata: {\"id\":\"a\"}\n\n", `the event "" is missing`},
	} {
		t.Run(name, func(t *testing.T) {
			for how, body := range map[string]io.Reader{"whole": strings.NewReader(tt.stream), "by bytes": iotest.OneByteReader(strings.NewReader(tt.stream))} {
				_, err := io.Copy(io.Discard, d.stream(x, io.NopCloser(body), nil))
				if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("read %s: %v, want %q", how, err, tt.want)
				}
			}
		})
	}
}
