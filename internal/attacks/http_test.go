package attacks

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"mp3converter/internal/testsuite"
)

// head is the head of an upload with the prober's token, but for what comes of the lines.
func (p *probe) head(lines string) string {
	return "POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + p.me.Token + "\r\nContent-Type: multipart/form-data; boundary=b\r\n" + lines + "\r\n"
}

const (
	opening = "--b\r\nContent-Disposition: form-data; name=file; filename=a.mp4\r\n\r\n"
	closing = "\r\n--b--\r\n"
)

// gatewayMemory, in MiB, is of 2 000 connections under the race detector, and some uploads.
const gatewayMemory = 1024

var requests = []row{
	{number: 33, attack: "a request within a request: CL and TE, odd codings, lengths, chunks, line ends", expected: "400 or closed, 501 for unknown codings (RFC 9112, 6.1), 505; one answer. Bare LF and folds are read as 2.2 and 5.2 allow", try: func(p *probe) {
		smuggled := "GET /jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + p.victim.Token + "\r\n\r\n"
		const chunked = "Transfer-Encoding: chunked\r\n"
		for variant, tt := range map[string]struct{ text, want string }{
			"CL and TE":               {p.head("Content-Length: 4\r\n"+chunked) + "0\r\n\r\n", "400"},
			"TE and CL":               {p.head(chunked+"Content-Length: 4\r\n") + "0\r\n\r\n", "400"},
			"xchunked":                {p.head("Transfer-Encoding: xchunked\r\n") + "0\r\n\r\n", "501"},
			"chunked, identity":       {p.head("Transfer-Encoding: chunked, identity\r\n") + "0\r\n\r\n", "501"},
			"TE twice":                {p.head(chunked+chunked) + "0\r\n\r\n", "501"},
			"TE with a tab":           {p.head("Transfer-Encoding:\x0bchunked\r\n") + "0\r\n\r\n", "400 501"},
			"a space before the dots": {p.head("Transfer-Encoding : chunked\r\n") + "0\r\n\r\n", "400"},
			"two CL":                  {p.head("Content-Length: 5\r\nContent-Length: 6\r\n") + "hello", "400"},
			"a list of CL":            {p.head("Content-Length: 5, 6\r\n") + "hello", "400"},
			"CL +5":                   {p.head("Content-Length: +5\r\n") + "hello", "400"},
			"CL 5 5":                  {p.head("Content-Length: 5 5\r\n") + "hello", "400"},
			"CL -5":                   {p.head("Content-Length: -5\r\n") + "hello", "400"},
			"CL 0x5":                  {p.head("Content-Length: 0x5\r\n") + "hello", "400"},
			"CL 2^64+5":               {p.head("Content-Length: 18446744073709551621\r\n") + "hello", "400"},
			"chunk 2^64":              {p.head(chunked) + "10000000000000005\r\nhello\r\n0\r\n\r\n", "400"},
			"chunk -5":                {p.head(chunked) + "-5\r\nhello\r\n0\r\n\r\n", "400"},
			"chunk too long":          {p.head(chunked) + "5\r\nhelloX\r\n0\r\n\r\n", "400"},
			"chunk, bare LF":          {p.head(chunked) + "5\nhello\r\n0\r\n\r\n", "400"},
			"bare LF":                 {strings.ReplaceAll(p.head("Connection: close\r\nContent-Length: 5\r\n"), "\r\n", "\n") + "hello", "400"},
			"a folded line":           {p.head("Connection: close\r\nX: a\r\n Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n", "400"},
			"NUL in a name":           {p.head("X\x00: y\r\n"), "400"},
			"NUL in a value":          {p.head("X: \x00\r\n"), "400"},
			"two hosts":               {p.head("Host: y\r\nContent-Length: 0\r\n"), "400"},
			"HTTP/0.9":                {"GET /jobs\r\n\r\n", "400"},
			"HTTP/3.0":                {"GET /jobs HTTP/3.0\r\nHost: x\r\n\r\n", "505"},
		} {
			got, closed := p.raw(p.URL, tt.text+smuggled)
			if !closed || strings.Count(got, "HTTP/1.1 ") > 1 || strings.Contains(got, `"jobs"`) {
				p.Errorf("%s: closed %v, %s", variant, closed, got)
			}
			p.is(variant, status(got), strings.Fields(tt.want)...)
		}
	}},
	{number: 34, attack: "a header, byte by byte; a body that stops", expected: "closed after 5 s; 408 after STALL_SECONDS", try: func(p *probe) {
		slow := p.dial(p.URL)
		_, _ = io.WriteString(slow, "GET /jobs HTTP/1.1\r\nHost: x\r\nX: ")
		go func() { // beside the body: its silence is longer than a header may take
			for err := error(nil); err == nil; time.Sleep(100 * time.Millisecond) {
				_, err = io.WriteString(slow, "x")
			}
		}()

		body := p.dial(p.strict)
		_, _ = io.WriteString(body, p.head("Content-Length: 1000\r\n")+opening+"video")
		got := make([]byte, 64)
		n, _ := body.Read(got)
		p.is("body", answeredFirst(string(got[:n])), "408 Request Timeout")

		header := "closed"
		if _, err := io.Copy(io.Discard, slow); errors.Is(err, os.ErrDeadlineExceeded) {
			header = "open for half a minute"
		}
		p.is("header", header, "closed")
	}},
	{number: 35, attack: "2 000 idle connections (200 without -full)", expected: "others are served", try: func(p *probe) {
		n := 200
		if *full {
			n = 2000
		}
		for i := range n {
			c := p.dial(p.URL)
			if i%2 == 0 {
				_, _ = io.WriteString(c, "G")
			}
		}
		_, got := p.mine(testsuite.Request{Path: "/jobs"})
		p.is("somebody else", got, "200")
		p.bounded(p.Gateway, gatewayMemory)
	}},
	{number: 36, attack: "headers of more than 16 KiB: long, many, without end, in the path", expected: "431, closed; 15 KiB are read", try: func(p *probe) {
		for variant, tt := range map[string]struct{ text, want string }{
			"15 KiB":  {"GET /jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + strings.Repeat("x", 15<<10) + "\r\n\r\n", "401"},
			"17 KiB":  {"GET /jobs HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 17<<10) + "\r\n\r\n", "431"},
			"1 MiB":   {"GET /jobs HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 1<<18) + "\r\n", "431"},
			"endless": {"GET /jobs HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 20<<10), "431"},
			"path":    {"GET /" + strings.Repeat("p", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", "431"},
		} {
			for _, base := range []string{p.URL, p.AuthURL} {
				text, want := tt.text, tt.want
				if base == p.AuthURL {
					text = strings.Replace(text, "GET /jobs", "POST /validate", 1)
				}
				got, closed := p.raw(base, text)
				p.is(variant, status(got), want)
				if !closed {
					p.Errorf("%s: the connection stays open", variant)
				}
			}
		}
	}},
	{number: 37, attack: "TRACE, CONNECT, OPTIONS, unknown methods", expected: "405 and Allow; nothing is echoed or proxied", try: func(p *probe) {
		for _, method := range []string{"TRACE", "CONNECT", "OPTIONS", "PUT", "PATCH", "FOO", "get", "PROPFIND"} {
			for _, path := range []string{"/jobs", "/upload", "/download", "/login"} {
				got, _ := p.raw(p.URL, method+" "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Secret: echo\r\nAuthorization: Bearer "+p.me.Token+"\r\n\r\n")
				p.is(method+" "+path, answered(got), "405 method not allowed")
				if !strings.Contains(got, "\r\nAllow: ") {
					p.Errorf("%s %s: no Allow", method, path)
				}
			}
		}
		for _, line := range []string{"CONNECT mongodb:27017", "OPTIONS *", "TRACE /nothing"} {
			got, _ := p.raw(p.URL, line+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			p.is(line, answered(got), "405 method not allowed")
		}
		for _, path := range []string{"/login", "/validate", "/logout"} {
			got, _ := p.raw(p.AuthURL, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			p.is("GET "+path+" at auth", status(got), "405")
		}
	}},
	{number: 38, attack: "HTTP/2 unasked: rapid reset, CONTINUATION flood; an upgrade to h2c", expected: "HTTP/2 is off: 405 and closed, the upgrade ignored", try: func(p *probe) {
		const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
		resets, floods := "", ""
		for i := range 1000 {
			id := string([]byte{0, 0, byte(i >> 7), byte(2*i + 1)})
			resets += "\x00\x00\x01\x01\x05" + id + "\x82" + "\x00\x00\x04\x03\x00" + id + "\x00\x00\x00\x08"
			floods += "\x00\x00\x01\x09\x00" + id + "\x82"
		}
		for variant, frames := range map[string]string{"rapid reset": resets, "flood": floods} {
			got, closed := p.raw(p.URL, preface+frames)
			p.is(variant, fmt.Sprintf("%s, closed %v", status(got), closed), "405, closed true")
		}
		got, _ := p.raw(p.URL, "GET /jobs HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
		p.is("upgrade", status(got), "401")
	}},
	{number: 39, attack: "ranges: 1 000, overlapping, negative, reversed, beyond the end, not of bytes", expected: "206, 416 or all; never more than twice the file", try: func(p *probe) {
		whole := p.victim.Get(p, "/download?fid="+*p.done.MP3).Body
		for variant, tt := range map[string]struct{ header, want string }{
			"1 000":            {"bytes=" + strings.TrimSuffix(strings.Repeat("0-0,", 1000), ","), "416 too many ranges"},
			"17":               {"bytes=" + strings.TrimSuffix(strings.Repeat("0-,", 17), ","), "416 too many ranges"},
			"overlapping":      {"bytes=0-,0-,0-,0-,0-", "200"}, // more than the file: net/http sends that instead
			"first and last":   {"bytes=0-0,-1", "206"},
			"last":             {"bytes=-1", "206"},
			"negative":         {"bytes=--5", "416"},
			"reversed":         {"bytes=9-5", "416"},
			"beyond":           {fmt.Sprintf("bytes=%d-", len(whole)), "416"},
			"far beyond":       {"bytes=9223372036854775807-", "416"},
			"more than 64 bit": {"bytes=0-99999999999999999999", "416"},
			"no number":        {"bytes=a-b", "416"},
			"other unit":       {"lines=0-5", "200"},
		} {
			a, got := p.send(testsuite.Request{Path: "/download?fid=" + *p.done.MP3, Auth: "Bearer " + p.victim.Token, Header: http.Header{"Range": {tt.header}}})
			if tt.want == "416" {
				got = got[:3]
			}
			p.is(variant, got, tt.want)
			if len(a.Body) > 2*len(whole) {
				p.Errorf("%s: %d bytes of %d", variant, len(a.Body), len(whole))
			}
		}
	}},
	{number: 40, attack: "a body of Content-Encoding gzip, deflate, br, twice", expected: "415 before it is read", try: func(p *probe) {
		for _, encoding := range []string{"gzip", "deflate", "br", "gzip, gzip", "GZIP", "x"} {
			got, _ := p.raw(p.URL, p.head("Connection: close\r\nContent-Encoding: "+encoding+"\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n"))
			p.is(encoding, answered(got), "415 send the form without Content-Encoding")
		}
	}},
}

// answeredFirst is the status line of an answer.
func answeredFirst(answer string) string {
	line, _, _ := strings.Cut(answer, "\r\n")
	return strings.TrimPrefix(line, "HTTP/1.1 ")
}
