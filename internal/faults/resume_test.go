package faults

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/checker"
	"mp3converter/internal/testmedia"
	"mp3converter/internal/testsuite"
)

// hasty is a client that does not wait for a gateway that has gone silent: there are others. Where none goes silent, the rig's
// own client waits for one that is busy.
var hasty = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// tus sends a request of the protocol to the gateway of the given number. What comes is no answer if it is not whole.
func (r *rig) tus(gate int, method, path string, body []byte, headers ...string) testsuite.Answer {
	h := http.Header{"Tus-Resumable": {"1.0.0"}, "Content-Type": {"application/offset+octet-stream"}}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	a, _ := testsuite.Request{
		Base: r.Gates[gate%len(r.Gates)], Method: method, Path: path, Auth: "Bearer " + r.person.Token, Header: h, Body: bytes.NewReader(body),
	}.TryBy(r.client)
	return a
}

// begin makes a resumable upload of the video; empty if nobody says so.
func (r *rig) begin(gate int, v testsuite.Video) (path string) {
	name := base64.StdEncoding.EncodeToString([]byte(v.Name))
	a := r.tus(gate, http.MethodPost, "/uploads/", nil, "Upload-Length", strconv.Itoa(len(v.Data)), "Upload-Metadata", "filename "+name)
	return a.Header.Get("Location")
}

// offset is how far the upload is; negative if nobody says so.
func (r *rig) offset(gate int, path string) int {
	a := r.tus(gate, http.MethodHead, path, nil)
	at, err := strconv.Atoi(a.Header.Get("Upload-Offset"))
	switch {
	case a.Status == http.StatusNotFound:
		r.t.Errorf("upload %s is gone", path)
	case a.Status == http.StatusOK && err == nil:
		return at
	}
	return -1
}

// resume uploads the video in parts. After each failure between is called, and the client asks the next gateway where to go on.
func (r *rig) resume(v testsuite.Video, part int, between func()) {
	r.t.Helper()
	path, at := "", 0
	for gate := range 400 {
		if r.t.Failed() {
			return
		}
		if path == "" {
			path = r.begin(gate, v)
		} else {
			at = r.offset(gate, path)
		}
		for path != "" && at >= 0 && at < len(v.Data) {
			end := min(at+part, len(v.Data))
			a := r.tus(gate, http.MethodPatch, path, v.Data[at:end], "Upload-Offset", strconv.Itoa(at))
			if a.Status != http.StatusNoContent {
				break
			}
			at = end
		}
		if at == len(v.Data) {
			r.resumed(v, path)
			return
		}
		between()
		time.Sleep(50 * time.Millisecond)
	}
	r.t.Fatal("no upload got through")
}

// resumed notes that the client was told that all is there.
func (r *rig) resumed(v testsuite.Video, path string) {
	u := v.Sent(r.person.Email, "")
	u.Status, u.Job = http.StatusOK, strings.TrimPrefix(path, "/uploads/")
	r.history.Told(u)
}

// part is a client that adds to an upload in one request, and is not in a hurry.
func (r *rig) part(t *testing.T, gate int, path string, at, bytes int) *sender {
	t.Helper()
	s := &sender{r: r, conn: r.dialTo(t, r.Gates[gate])}
	fmt.Fprintf(s.conn, "PATCH %s HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: %d\r\n"+
		"Content-Type: application/offset+octet-stream\r\nContent-Length: %d\r\n\r\n", path, r.person.Token, at, bytes)
	return s
}

// One upload loses first the gateway that it goes to, then the other, to which it went instead.
func TestAnUploadOutlivesBothGateways(t *testing.T) {
	t.Parallel()
	const large = "MAX_UPLOAD_BYTES=20000000"
	r := newRig(t, testsuite.NewVhost(t), "WORKERS=1")
	r.StartAuth()
	first := r.gateway(large)
	r.whole().unwatch(first)
	second := r.gateway(large)
	v := testsuite.VideoOf(t, testmedia.Clip(t, testmedia.Spec{Ext: "mov", Audio: "pcm_s16le", Layout: "stereo", Seconds: 60}), "long.mov")
	size := len(v.Data)

	path, sent, at := r.begin(0, v), 0, 0
	if path == "" {
		t.Fatal("no upload is begun")
	}
	for gate, p := range []*testsuite.Process{first, second} {
		s := r.part(t, gate, path, at, size-at)
		more := size / 3
		if _, err := s.conn.Write(v.Data[at : at+more]); err != nil {
			t.Fatal(err)
		}
		sent += more
		before := at
		testsuite.Eventually(t, "most of what was sent is durable", func() bool { // asked of the other: this one would end it
			at = r.offset(1-gate, path)
			return at > before+more/2
		})
		p.Kill()
		s.conn.Close()
		if gate == 0 {
			p.Again(t)
		}
		if now := r.offset(1-gate, path); now != at {
			t.Errorf("%d bytes were durable, now %d are", at, now)
		}
	}
	if a := r.tus(0, http.MethodPatch, path, v.Data[at:], "Upload-Offset", strconv.Itoa(at)); a.Status != http.StatusNoContent {
		t.Fatalf("the last part was answered %d %q", a.Status, a.Body)
	}
	sent += size - at
	r.resumed(v, path)
	r.check(t, checker.Allowed{})
	t.Logf("%d bytes through two gateways that were killed: %d were sent again", size, sent-size)
}
