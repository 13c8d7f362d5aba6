package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var errGone = errors.New("gone")

var table = Errors{{errGone, Refusal{Code: http.StatusNotFound, Text: "no such thing"}}}

// serve answers one request by h inside the whole middleware and returns the answer and the log.
func serve(t *testing.T, h Handler, accept string) (*http.Response, string, string) {
	t.Helper()
	var log bytes.Buffer
	chain := Log(slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())(Secure(table.Handle(h)))
	server := httptest.NewServer(chain)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/thing", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		body = append(body, []byte("BROKEN OFF")...)
	}
	server.Close() // the line is written after the answer
	return resp, string(body), log.String()
}

func TestErrorsBecomeAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		status int
		body   string
		retry  string
		log    string
	}{
		"a row of the table":           {fmt.Errorf("find it: %w", errGone), 404, "no such thing", "", "find it"},
		"a refusal answers itself":     {Refuse(400, "fid is required"), 400, "fid is required", "", "status=400"},
		"a wrapped refusal":            {fmt.Errorf("upload: %w", Refuse(413, "too large")), 413, "too large", "", "upload"},
		"anything else is unavailable": {errors.New("dial 10.0.0.7: refused"), 503, Unavailable.Text, "5", "level=ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body, log := serve(t, func(http.ResponseWriter, *http.Request) error { return tt.err }, "*/*")
			if resp.StatusCode != tt.status || body != tt.body {
				t.Errorf("answer = %d %q, want %d %q", resp.StatusCode, body, tt.status, tt.body)
			}
			if got := resp.Header.Get("Retry-After"); got != tt.retry {
				t.Errorf("Retry-After = %q, want %q", got, tt.retry)
			}
			if !strings.Contains(log, tt.log) || strings.Count(log, "\n") != 1 {
				t.Errorf("log is not one line with %q:\n%s", tt.log, log)
			}
			if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("the answer lacks the headers that every answer has")
			}
		})
	}
}

func TestAClientThatAsksForJSONGetsAProblem(t *testing.T) {
	resp, body, _ := serve(t, func(http.ResponseWriter, *http.Request) error { return errGone }, "application/json, */*;q=0.1")
	var p problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	want := problem{Type: "about:blank", Title: "Not Found", Status: 404, Detail: "no such thing", RequestID: resp.Header.Get("X-Request-Id")}
	if p != want || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("problem = %+v as %s, want %+v", p, resp.Header.Get("Content-Type"), want)
	}
}

func TestAnAnswerThatFailsHalfWayIsBrokenOff(t *testing.T) {
	_, body, log := serve(t, func(w http.ResponseWriter, _ *http.Request) error {
		fmt.Fprint(w, strings.Repeat("half ", 1000))
		return errors.New("store died")
	}, "*/*")
	if !strings.Contains(body, "BROKEN OFF") {
		t.Errorf("the client got a clean answer of %d bytes", len(body))
	}
	if !strings.Contains(log, "store died") {
		t.Errorf("the log does not say why:\n%s", log)
	}
}

func TestNothingIsAnsweredWhereNothingMayBe(t *testing.T) {
	var log bytes.Buffer
	chain := Log(slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())(table.Handle(func(http.ResponseWriter, *http.Request) error {
		return fmt.Errorf("in doubt: %w: store died", http.ErrAbortHandler)
	}))
	server := httptest.NewServer(chain)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/thing", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err == nil {
		resp.Body.Close()
		t.Errorf("answer = %d, want a broken connection", resp.StatusCode)
	}
	server.Close() // the line is written after the connection is closed
	if text := log.String(); !strings.Contains(text, "store died") || !strings.Contains(text, "status=0") || strings.Contains(text, "stack") {
		t.Errorf("the log does not say why, or too much:\n%s", text)
	}
}

func TestAPanicIsLoggedAndAnsweredWithoutItsText(t *testing.T) {
	resp, body, log := serve(t, func(http.ResponseWriter, *http.Request) error { panic("secret cause") }, "*/*")
	if resp.StatusCode != 500 || strings.Contains(body, "secret") {
		t.Errorf("answer = %d %q", resp.StatusCode, body)
	}
	if !strings.Contains(log, "secret cause") {
		t.Errorf("the log does not say why:\n%s", log)
	}
}

func TestWhatTheClientAsksForFirst(t *testing.T) {
	for accept, want := range map[string]struct{ json, html bool }{
		"application/json":                 {json: true},
		"application/problem+json":         {json: true},
		"application/json;q=0.9":           {json: true},
		"*/*":                              {},
		"":                                 {},
		"text/html,application/json;q=0.9": {html: true},
		"text/html, */*;q=0.8":             {html: true},
		"application/json, text/html":      {json: true},
	} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		r.Header.Set("Accept", accept)
		if got := WantsJSON(r); got != want.json {
			t.Errorf("WantsJSON(%q) = %v, want %v", accept, got, want.json)
		}
		if got := WantsHTML(r); got != want.html {
			t.Errorf("WantsHTML(%q) = %v, want %v", accept, got, want.html)
		}
	}
}

func TestTheServerHasLimits(t *testing.T) {
	s := NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if s.ReadHeaderTimeout == 0 || s.ReadHeaderTimeout > 5*time.Second || s.MaxHeaderBytes > 16<<10 || s.IdleTimeout == 0 {
		t.Errorf("limits: header %v, %d bytes, idle %v", s.ReadHeaderTimeout, s.MaxHeaderBytes, s.IdleTimeout)
	}
	if s.ReadTimeout != 0 {
		t.Errorf("ReadTimeout = %v would cut long uploads", s.ReadTimeout)
	}
}
