package attacks

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"mp3converter/internal/testsuite"
)

// form sends a form's bytes as they are.
func (p *probe) form(base, boundary string, body io.Reader, more http.Header) (testsuite.Answer, string) {
	p.Helper()
	h := http.Header{"Content-Type": {"multipart/form-data; boundary=" + boundary}}
	for name, values := range more {
		h[name] = values
	}
	return p.mine(testsuite.Request{Base: base, Method: http.MethodPost, Path: "/upload", Header: h, Body: body})
}

// upload sends a form of these parts.
func (p *probe) upload(base string, parts ...testsuite.Part) (testsuite.Answer, string) {
	p.Helper()
	form, h := testsuite.Form(p, parts...)
	body, err := io.ReadAll(form)
	if err != nil {
		p.Fatal(err)
	}
	return p.mine(testsuite.Request{Base: base, Method: http.MethodPost, Path: "/upload", Header: h, Body: bytes.NewReader(body)})
}

const (
	notOne    = "400 exactly 1 file required"
	malformed = "400 the form is malformed or cut short"
	tooMuch   = "400 the form has too many or too large fields beside the file"
)

// letters are without end.
type letters struct{}

func (letters) Read(b []byte) (int, error) { return copy(b, bytes.Repeat([]byte("x"), len(b))), nil }

var forms = []row{
	{number: 41, attack: "no boundary, two, of 200 characters, odd ones, RFC 2231's, another than the body's", expected: "400", try: func(p *probe) {
		for variant, tt := range map[string]struct{ header, in string }{
			"none": {`""`, ""}, "two": {"b; boundary=c", "b"}, "two alike": {"b; boundary=b", "b"}, "200": {strings.Repeat("b", 200), strings.Repeat("b", 200)},
			"a space last": {`"b "`, "b "}, "a tab": {"\"b\tb\"", "b\tb"}, "a quote": {`"b\"b"`, `b"b`}, "braces": {`"b{b}"`, "b{b}"}, "not ASCII": {`"bü"`, "bü"},
			"continued": {"x; boundary*0=b; boundary*1=c", "bc"}, "encoded": {"; boundary*=UTF-8''%62%0d%0ac", "b\r\nc"}, "another": {"c", "b"}, "nothing": {"", "b"},
		} {
			_, got := p.form("", tt.header, strings.NewReader(strings.ReplaceAll(opening+"video"+closing, "--b", "--"+tt.in)), nil)
			p.is(variant, got, notOne, malformed)
		}
		_, got := p.form("", "", strings.NewReader("video"), http.Header{"Content-Type": {"text/plain"}})
		p.is("no form", got, notOne)
	}},
	{number: 43, attack: "10 000 parts, 10 000 empty files, a part header of 10 MB, a million headers, a form in the form", expected: "400; memory bounded", try: func(p *probe) {
		const empty = "--b\r\nContent-Disposition: form-data; filename=\"\"\r\n\r\n\r\n"
		const nested = "--b\r\nContent-Disposition: form-data; name=f; filename=a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Disposition: file; filename=b\r\n\r\nvideo\r\n--c--"
		long := func(before string) io.Reader {
			return io.MultiReader(strings.NewReader(before), io.LimitReader(letters{}, 10<<20), strings.NewReader("\r\n\r\nv"+closing))
		}
		for variant, tt := range map[string]struct {
			body io.Reader
			want string
		}{
			"parts":       {strings.NewReader(strings.Repeat("--b\r\nContent-Disposition: form-data; name=x\r\n\r\ny\r\n", 10_000) + "--b--"), tooMuch},
			"empty files": {strings.NewReader(strings.Repeat(empty, 10_000) + "--b--"), tooMuch},
			"10 MB":       {long("--b\r\nX: "), tooMuch}, "a name of 10 MB": {long("--b\r\nContent-Disposition: form-data; name=f; filename="), tooMuch},
			"headers": {strings.NewReader("--b\r\n" + strings.Repeat("X: y\r\n", 1<<20) + "\r\nv" + closing), malformed},
			"nested":  {strings.NewReader(nested + closing), malformed}, "a preamble of 10 MB": {io.MultiReader(io.LimitReader(letters{}, 10<<20), strings.NewReader("\r\n"+opening+"v"+closing)), malformed},
		} {
			_, got := p.form("", "b", tt.body, nil)
			p.is(variant, got, tt.want)
		}
		p.bounded(p.Gateway, gatewayMemory)
	}},
	{number: 44, attack: "no file, two under two names, two under one", expected: notOne, try: func(p *probe) {
		file := func(field string) testsuite.Part { return testsuite.FilePart(field, "a.mp4", []byte("video")) }
		for variant, parts := range map[string][]testsuite.Part{"none": nil, "a field": {testsuite.FilePart("file", "", []byte("v"))}, "two": {file("a"), file("b")}, "one name": {file("a"), file("a")}, "three": {file("a"), file("b"), file("c")}} {
			_, got := p.upload("", parts...)
			p.is(variant, got, notOne)
		}
	}},
	{number: 45, attack: "file names with line ends, quotes, ../, NUL, right-to-left, 64 KB, invalid RFC 5987", expected: "400, or a label that is in no path and no header, and of one line in the mail", try: func(p *probe) {
		for variant, tt := range map[string]struct{ disposition, want string }{
			"encoded line end": {`filename="a.mp4%0d%0aX-Evil: 1"`, "a.mp4%0d%0aX-Evil: 1"}, "5987 line end": {`filename*=UTF-8''a%0d%0aBcc%3a%20x%40y.mp4`, "aBcc: x@y.mp4"},
			"quote": {`filename="a\"; filename=\"b.mp4"`, `a"; filename="b.mp4`}, "up": {`filename="../../../../etc/passwd"`, "passwd"},
			"5987 NUL": {`filename*=UTF-8''a%00.mp4`, "a.mp4"}, "right to left": {"filename=\"a\u202e4pm.exe\"", "a4pm.exe"}, "5987 invalid": {`filename*=nonsense`, "video"},
			"64 KB": {`filename="` + strings.Repeat("n", 64<<10) + `"`, ""}, "NUL": {"filename=\"a\x00b.mp4\"", ""},
		} {
			body := "--b\r\nContent-Disposition: form-data; name=f; " + tt.disposition + "\r\n\r\nvideo" + closing
			a, got := p.form("", "b", strings.NewReader(body), http.Header{"Accept": {"application/json"}})
			if tt.want == "" {
				p.is(variant, got[:3], "400")
				continue
			}
			p.keeps(p.me.Email, 1)
			var j testsuite.JobView
			a.Into(p, &j)
			p.is(variant, got, "200")
			if j.FileName != tt.want || a.Header.Get("X-Evil") != "" {
				p.Errorf("%s: file name %q, want %q; %v", variant, j.FileName, tt.want, a.Header)
			}
			p.me.Reaches(p, j.ID, "failed")
		}
		for _, m := range p.me.Mailed(p, 7) {
			if lines := strings.Split(m.Body, "\n"); m.Subject != "MP3 conversion failed" || len(lines) != 9 || !strings.HasPrefix(lines[2], "Reason: ") {
				p.Errorf("the mail is %d lines: %q", len(lines), m.Body)
			}
		}
	}},
	{number: 46, attack: "Content-Length of less or more than comes", expected: malformed + "; what is behind is not served", try: func(p *probe) {
		form := opening + "video" + closing
		for variant, by := range map[string]int{"less": -10, "more": 10} {
			var got string
			for try := 1; try == 1 || strings.HasPrefix(answered(got), "503") && try <= 20; try++ { // as sendBy does
				time.Sleep(time.Duration(try-1) * 100 * time.Millisecond)
				c := p.dial(p.URL)
				_, _ = io.WriteString(c, p.head(fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n", len(form)+by))+form)
				_ = c.(*net.TCPConn).CloseWrite() // else more would come
				said, _ := io.ReadAll(c)
				got = string(said)
			}
			p.judge(0, "", got)
			p.is(variant, answered(got), malformed)
			if strings.Count(got, "HTTP/1.1 ") != 1 {
				p.Errorf("%s: %s", variant, got)
			}
		}
	}},
	{number: 47, attack: "a file of the limit −1, 0, +1, +1 000 bytes, with and without length", expected: "200, 200, 413, 413", try: func(p *probe) {
		for _, chunked := range []bool{false, true} {
			for by, want := range map[int]string{-1: "200", 0: "200", 1: "413 the file is too large", 1000: "413 the file is too large"} {
				var body io.Reader = strings.NewReader(opening + strings.Repeat("v", strictUpload+by) + closing)
				if chunked {
					body = lengthless{body.(io.ReadSeeker)}
				}
				_, got := p.form(p.strict, "b", body, nil)
				if want == "200" {
					p.keeps(p.me.Email, 1)
				}
				p.is(fmt.Sprintf("%+d, chunked %v", by, chunked), got, want)
			}
		}
	}},
	{number: 48, attack: "a file of 0 bytes", expected: "400", try: func(p *probe) {
		_, got := p.upload("", testsuite.FilePart("file", "a.mp4", nil))
		p.is("empty", got, "400 the file is empty")
	}},
	{number: 49, attack: "20 uploads at once that fit into the quota by half", expected: "200 or 413, together never over", refuses: true, alone: true, try: func(p *probe) {
		const each = strictUpload - 1000
		var all sync.WaitGroup
		got := make([]string, 20)
		for i := range got {
			all.Go(func() {
				a, answer := p.upload(p.strict, testsuite.FilePart("file", "a.mp4", bytes.Repeat([]byte("v"), each)))
				if got[i] = answer; a.Status == 413 {
					got[i] = "413"
				}
			})
		}
		all.Wait()
		taken := 0
		for _, answer := range got {
			p.is("one of 20", answer, "200", "413", "503 service unavailable, try again later")
			if answer == "200" {
				taken++
			}
		}
		p.keeps(p.me.Email, taken)
		if taken == 0 || taken*each > strictQuota {
			p.Errorf("%d were taken, of %d bytes each", taken, each)
		}
	}},
}
