package faults

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testsuite"
)

// sender is a client that uploads piece by piece.
type sender struct {
	r    *rig
	v    testsuite.Video
	conn net.Conn
	form []byte
	sent int // bytes of the form
}

// sender connects to the first gateway and sends the header of an upload.
func (r *rig) sender(t testing.TB, v testsuite.Video) *sender {
	t.Helper()
	body, header := v.Form(t)
	form, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	s := &sender{r: r, v: v, form: form, conn: r.dial(t)}
	fmt.Fprintf(s.conn, "POST /upload HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		r.person.Token, header.Get("Content-Type"), len(form))
	return s
}

// dial connects to the first gateway, for a test that never waits for ever.
func (r *rig) dial(t testing.TB) net.Conn { return r.dialTo(t, r.Gates[0]) }

// dialTo is dial to the one at that URL.
func (r *rig) dialTo(t testing.TB, gate string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(gate, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience)) // fails on a closed connection only
	return conn
}

// upTo sends until so many bytes of the form are sent, or the gateway takes no more: then its answer says why.
func (s *sender) upTo(n int) {
	m, _ := s.conn.Write(s.form[s.sent:n])
	s.sent += m
}

// percent of the form, in bytes.
func (s *sender) percent(p float64) int { return int(p / 100 * float64(len(s.form))) }

// answer reads what the gateway says; an error means that it says nothing.
func (s *sender) answer() (testsuite.Answer, error) {
	resp, err := http.ReadResponse(bufio.NewReader(s.conn), nil)
	if err != nil {
		return testsuite.Answer{}, err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	return testsuite.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body.String()}, err
}
