package testsuite

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/apitest"
)

// Request is sent as it is: no header but what is said here and what net/http must add.
type Request struct {
	Base   string // http://host:port
	Method string // default GET
	Path   string // with its query
	Auth   string // the Authorization header; empty sends none
	Header http.Header
	Body   io.Reader
}

// Answer is what came back, whole.
type Answer struct {
	Status int // 0 if nothing whole came, Hung if nothing came for as long as the client waits
	Header http.Header
	Body   string
	Took   time.Duration // from the request to the end of the answer
}

// Hung is no answer either, but one that no fault excuses: a connection that is cut tells the client what to do next.
const Hung = -1

// IsHung reports whether the client gave up waiting.
func IsHung(err error) bool {
	var waited net.Error
	return errors.As(err, &waited) && waited.Timeout()
}

// none is the answer of which an error came instead.
func none(err error) Answer {
	if IsHung(err) {
		return Answer{Status: Hung}
	}
	return Answer{}
}

// client holds what gateways answer against the API's description: what is not in it is no answer.
var client = &http.Client{
	Timeout: patience,
	Transport: &apitest.Transport{
		Base: &http.Transport{MaxIdleConnsPerHost: 10, DisableCompression: true},
		Only: func(r *http.Request) bool { _, ok := gateways.Load(r.URL.Host); return ok },
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// gateways are the addresses of those that were started.
var gateways sync.Map

// Send sends the request, and again what was put off because a machine that is busy, or stands still, has had a service wait for
// another in vain: that says to come again, and is no answer that a test is about.
func Send(t testing.TB, r Request) Answer {
	t.Helper()
	a, err := r.patiently()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (r Request) patiently() (Answer, error) {
	body, seeks := r.Body.(io.Seeker)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Second) {
		a, err := r.Try()
		if err != nil || !a.HeldUp() || r.Body != nil && !seeks || time.Now().After(deadline) {
			return a, err
		}
		if seeks {
			_, _ = body.Seek(0, io.SeekStart) // of memory
		}
	}
}

const unavailable = "service unavailable, try again later"

// HeldUp reports whether the answer may be one of a service that has waited in vain.
func (a Answer) HeldUp() bool {
	return heldUp(a.Status, a.Took) && strings.Contains(a.Body, unavailable)
}

// heldUp is HeldUp of what the log has too. The least that any service waits is a second.
func heldUp(status int, took time.Duration) bool {
	return status == http.StatusServiceUnavailable && took >= time.Second
}

// Try sends the request. An error means that no whole answer came.
func (r Request) Try() (Answer, error) { return r.TryBy(client) }

// TryBy is Try by that client.
func (r Request) TryBy(client *http.Client) (Answer, error) {
	req, err := http.NewRequest(r.Method, r.Base+r.Path, r.Body)
	if err != nil {
		return Answer{}, err
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	if r.Auth != "" {
		req.Header.Set("Authorization", r.Auth)
	}
	sent := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return none(err), err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return none(err), fmt.Errorf("%s %s: read the answer: %w", req.Method, req.URL.Path, err)
	}
	return Answer{resp.StatusCode, resp.Header, string(body), time.Since(sent)}, nil
}

// AtOnce sends all requests at the same time, as Send does, and returns the answers in their order.
func AtOnce(t testing.TB, requests ...Request) []Answer {
	t.Helper()
	return atOnce(t, Request.patiently, requests)
}

// AtOnceBy sends each request once, at the same time, by that client.
func AtOnceBy(t testing.TB, client *http.Client, requests ...Request) []Answer {
	t.Helper()
	return atOnce(t, func(r Request) (Answer, error) { return r.TryBy(client) }, requests)
}

func atOnce(t testing.TB, send func(Request) (Answer, error), requests []Request) []Answer {
	t.Helper()
	answers, failures := make([]Answer, len(requests)), make([]error, len(requests))
	var running sync.WaitGroup
	for i, r := range requests {
		running.Go(func() { answers[i], failures[i] = send(r) })
	}
	running.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	return answers
}

// Is fails the test unless the answer has exactly that status and body.
func (a Answer) Is(t testing.TB, status int, body string) {
	t.Helper()
	if a.Status != status || a.Body != body {
		t.Errorf("answer = %d %.300q, want %d %q", a.Status, a.Body, status, body)
	}
}

// Into decodes a JSON body.
func (a Answer) Into(t testing.TB, v any) {
	t.Helper()
	if got := a.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q, want application/json", got)
	}
	if err := json.Unmarshal([]byte(a.Body), v); err != nil {
		t.Fatalf("answer %d %q: %v", a.Status, a.Body, err)
	}
}

func Basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Part is a file of a form, or, with a field's name only, a value.
type Part struct {
	Field, File string
	Data        []byte
}

// FilePart is a part with all that it has. Without a file name it is a value.
func FilePart(field, file string, data []byte) Part { return Part{field, file, data} }

// Form returns a multipart body and the header that goes with it.
func Form(t testing.TB, parts ...Part) (io.Reader, http.Header) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		to, err := w.CreateFormField(p.Field)
		if p.File != "" {
			to, err = w.CreateFormFile(p.Field, p.File)
		}
		if err == nil {
			_, err = to.Write(p.Data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(body.Bytes()), http.Header{"Content-Type": {w.FormDataContentType()}}
}

// AreAway fails the test unless each request is answered with 503, and when to come again.
func AreAway(t *testing.T, requests ...Request) {
	t.Helper()
	for _, a := range AtOnceBy(t, client, requests...) {
		a.Is(t, http.StatusServiceUnavailable, unavailable)
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After: %v", a.Header)
		}
	}
}
