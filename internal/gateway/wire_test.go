package gateway_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// request is what a test sends. The zero value of a field is the usual.
type request struct {
	to     string // host:port, unless the rig's
	method string // GET, or POST if there is a form or a body
	path   string
	token  string // "-" sends none
	cookie string // the header; with it no token is sent
	header http.Header
	form   []part
	body   io.Reader
	bytes  int64 // of body, if they are known
}

// part is a part of a form; with a file name it is a file. noName is an empty one.
type part struct{ field, file, content string }

const noName = "\x00"

func file(content string) []part { return []part{{"file", "vid_1.mp4", content}} }

// encode returns the form's body and media type.
func encode(parts []part) ([]byte, string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + p.field + `"`}}
		if p.file != "" {
			h["Content-Disposition"][0] += `; filename="` + strings.NewReplacer(noName, "", `"`, `\"`).Replace(p.file) + `"`
			h.Set("Content-Type", "video/mp4")
		}
		pw, err := w.CreatePart(h)
		if err == nil {
			_, err = io.WriteString(pw, p.content)
		}
		if err != nil {
			panic(err) // memory does not fail
		}
	}
	_ = w.Close() // as above
	return b.Bytes(), w.FormDataContentType()
}

func (r *rig) request(q request) *http.Request {
	r.Helper()
	if q.header == nil {
		q.header = http.Header{}
	}
	if q.form != nil {
		body, media := encode(q.form)
		q.body, q.bytes = bytes.NewReader(body), int64(len(body))
		q.header.Set("Content-Type", media)
	}
	if q.method == "" {
		q.method = http.MethodGet
		if q.body != nil {
			q.method = http.MethodPost
		}
	}
	req, err := http.NewRequestWithContext(r.Context(), q.method, "http://"+cmp.Or(q.to, r.addr)+q.path, q.body)
	r.must(err)
	if q.bytes > 0 {
		req.ContentLength = q.bytes
	}
	req.Header = q.header
	if q.cookie != "" {
		req.Header.Set("Cookie", q.cookie)
		q.token = cmp.Or(q.token, "-")
	}
	if q.token == "" {
		q.token = sid
	}
	if q.token != "-" {
		req.Header.Set("Authorization", "Bearer "+q.token)
	}
	return req
}

// answer is a response read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // how the body ended, if not well
}

func (r *rig) do(q request) answer {
	r.Helper()
	a, err := r.try(q)
	r.must(err)
	return a
}

func (r *rig) try(q request) (answer, error) {
	r.Helper()
	resp, err := r.client.Do(r.request(q))
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}, nil
}

// want is what an answer must be.
func (r *rig) want(a answer, status int, body string) {
	r.Helper()
	if a.status != status || a.body != body || a.err != nil {
		r.Errorf("answer = %d %.200q (%v), want %d %q", a.status, a.body, a.err, status, body)
	}
}

// wantProblem checks a status and what the text has in it.
func (r *rig) wantProblem(a answer, status int, part string) {
	r.Helper()
	if a.status != status || !strings.Contains(a.body, part) || strings.HasSuffix(a.body, "\n") {
		r.Errorf("answer = %d %.200q, want %d with %q", a.status, a.body, status, part)
	}
}

// dial opens a connection of its own, on which nothing takes longer than a test may.
func (r *rig) dial() net.Conn {
	r.Helper()
	c, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.addr)
	r.must(err)
	r.Cleanup(func() { _ = c.Close() })
	r.must(c.SetDeadline(time.Now().Add(wait)))
	return c
}

// proxy forwards connections to the gateway and counts what clients send.
func (r *rig) proxy() (addr string, sent *atomic.Int64) {
	r.Helper()
	l, err := (&net.ListenConfig{}).Listen(r.Context(), "tcp", "127.0.0.1:0")
	r.must(err)
	sent = new(atomic.Int64)
	var g sync.WaitGroup
	g.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.Go(func() { r.forward(c, sent) })
		}
	})
	r.Cleanup(func() { _ = l.Close(); g.Wait() })
	return l.Addr().String(), sent
}

func (r *rig) forward(c net.Conn, sent *atomic.Int64) {
	up, err := net.Dial("tcp", r.addr)
	if err != nil {
		_ = c.Close()
		return
	}
	var g sync.WaitGroup
	g.Go(func() {
		_, _ = io.Copy(io.MultiWriter(up, counter{sent}), c)
		_ = up.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(c, up)
	_ = c.Close()
	g.Wait()
	_ = up.Close()
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}
