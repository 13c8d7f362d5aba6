package apitest

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strings"
)

// Transport holds each exchange with a gateway against the document that gateways serve.
type Transport struct {
	Base   http.RoundTripper
	Only   func(*http.Request) bool // goes to a gateway that answers by itself; nil is all
	Strays bool                     // requests are accepted that have more than the document says, on purpose
	Report func(error)              // is told of each exchange that is not in the document; nil has RoundTrip return it
}

// RoundTrip sends the request and looks at the answer.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.Only != nil && !t.Only(r) {
		return t.Base.RoundTrip(r)
	}
	x := Exchange{Method: r.Method, URL: r.URL, Sent: r.Header}
	if r.Body != nil && isSmall(r.Header.Get("Content-Type")) {
		var err error
		if x.SentBody, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close() // it is in memory
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(x.SentBody))
	}
	resp, err := t.Base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	x.Status, x.Got = resp.StatusCode, resp.Header
	if media := resp.Header.Get("Content-Type"); isSmall(media) || media == "" {
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it is read
		resp.Body = io.NopCloser(&replay{*bytes.NewReader(body), err})
		if err != nil { // whoever reads it is told
			return resp, nil //nolint:nilerr // by the body, as it came
		}
		x.Body = body
	}
	check := Served().Check
	if t.Strays {
		check = Served().CheckAnswer
	}
	if err := check(x); err != nil {
		if t.Report == nil {
			_ = resp.Body.Close() // nobody will
			return nil, err
		}
		t.Report(err)
	}
	if isStream(resp.Header) {
		resp.Body = Served().stream(x, resp.Body, t.Report)
	}
	return resp, nil
}

// isSmall reports whether a body is one that schemas describe: not a file, and not a stream that may last.
func isSmall(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media != "text/event-stream" &&
		(isJSON(media) || strings.HasPrefix(media, "text/") || media == "application/x-www-form-urlencoded")
}

// replay is a body that was read, with how it ended.
type replay struct {
	bytes.Reader
	err error
}

func (r *replay) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF && r.err != nil { //nolint:errorlint // bytes.Reader's own word
		return n, r.err
	}
	return n, err
}
