package gateway_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

// What somebody sends who means harm, row by row.

// exchange sends bytes and returns all that comes back until the server hangs up. The text should lead to that: else it takes as
// long as the patience with a connection.
func (r *rig) exchange(text string) (answers string, closed bool) {
	r.Helper()
	c := r.dial()
	go func() { _, _ = io.WriteString(c, text) }() // the server may close before it has read all
	var all bytes.Buffer
	_, err := io.Copy(&all, c)
	return all.String(), !errors.Is(err, os.ErrDeadlineExceeded)
}

// smuggled is a request that must not be answered as one of its own.
const smuggled = "GET /jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + sid + "\r\n\r\n"

func TestNoSecondRequestHidesInAFirst(t *testing.T) {
	t.Parallel()
	r := start(t)
	form := opening + "video" + closing
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(form), form)
	for name, tt := range map[string]struct{ text, status string }{
		"two lengths, of one kind each": {head(length(4)+"Transfer-Encoding: chunked\r\n") + "0\r\n\r\n" + smuggled, "400"},
		"the other way round":           {head("Transfer-Encoding: chunked\r\n"+length(4)) + "0\r\n\r\n" + smuggled, "400"},
		"a good one with both":          {head("Transfer-Encoding: chunked\r\n"+length(4)) + chunked + smuggled, "200"},
		"an unknown coding":             {head("Transfer-Encoding: xchunked\r\n") + "0\r\n\r\n" + smuggled, "501"}, // RFC 9112, 6.1
		"two codings":                   {head("Transfer-Encoding: chunked, identity\r\n") + "0\r\n\r\n" + smuggled, "501"},
		"the coding twice":              {head(strings.Repeat("Transfer-Encoding: chunked\r\n", 2)) + "0\r\n\r\n" + smuggled, "501"},
		"a space before the colon":      {head("Transfer-Encoding : chunked\r\n") + "0\r\n\r\n" + smuggled, "400"},
		"two different lengths":         {head(length(5)+length(6)) + "hello" + smuggled, "400"},
		"a list of lengths":             {head("Content-Length: 5, 6\r\n") + "hello" + smuggled, "400"},
		"a plus":                        {head("Content-Length: +5\r\n") + "hello" + smuggled, "400"},
		"a space within":                {head("Content-Length: 5 5\r\n") + "hello" + smuggled, "400"},
		"negative":                      {head("Content-Length: -5\r\n") + "hello" + smuggled, "400"},
		"hexadecimal":                   {head("Content-Length: 0x5\r\n") + "hello" + smuggled, "400"},
		"a length of more than 64 bits": {head("Content-Length: 18446744073709551621\r\n") + "hello" + smuggled, "400"},
		"a chunk of more than 64 bits":  {head("Transfer-Encoding: chunked\r\n") + "10000000000000005\r\nhello\r\n0\r\n\r\n" + smuggled, "400"},
		"a negative chunk":              {head("Transfer-Encoding: chunked\r\n") + "-5\r\nhello\r\n0\r\n\r\n" + smuggled, "400"},
		"a chunk that is longer":        {head("Transfer-Encoding: chunked\r\n") + "5\r\nhelloX\r\n0\r\n\r\n" + smuggled, "400"},
		"a bare line feed after a size": {head("Transfer-Encoding: chunked\r\n") + "5\nhello\r\n0\r\n\r\n" + smuggled, "400"},
		"a NUL in a name":               {head("X\x00: y\r\n") + smuggled, "400"},
		"two hosts":                     {head("Host: y\r\n"+length(0)) + smuggled, "400"},
		"garbage behind":                {head(length(len(form))) + form + "garbage\r\n\r\n" + smuggled, "200"},
		"HTTP/2 without asking":         {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\x00\x00\x00\x04\x00\x00\x00\x00\x00", 100), "405"},
		"HTTP/0.9":                      {"GET /jobs\r\n\r\n" + smuggled, "400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := r.in(t)
			got, closed := r.exchange(tt.text)
			if !strings.HasPrefix(got, "HTTP/1.1 "+tt.status+" ") || strings.Contains(got, `{"jobs"`) || !closed {
				t.Errorf("closed = %v, answers:\n%s", closed, got)
			}
		})
	}
}

func TestHeadersAreLimited(t *testing.T) {
	t.Parallel()
	r := start(t)
	for name, tt := range map[string]struct {
		more   string
		status string
	}{
		"15 KiB":              {"X: " + strings.Repeat("x", 15<<10) + "\r\n", "401"},
		"more than 16 KiB":    {"X: " + strings.Repeat("x", 16<<10) + "\r\n", "431"},
		"1 MiB of many":       {strings.Repeat("X: y\r\n", 1<<18), "431"},
		"a token of 1 MiB":    {"Authorization: Bearer " + strings.Repeat(".", mega) + "\r\n", "431"},
		"a path of 1 MiB":     {"", "431"},
		"one that never ends": {"X: " + strings.Repeat("x", 20<<10), "431"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, end := "/jobs", "\r\n"
			if tt.more == "" {
				path += "?" + strings.Repeat("p", mega)
			}
			if name == "one that never ends" {
				end = ""
			}
			text := "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + tt.more + end
			after := ""
			if tt.status != "431" { // then the connection is good for another request
				after = "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
			}
			got, closed := r.in(t).exchange(text + after)
			if !strings.HasPrefix(got, "HTTP/1.1 "+tt.status+" ") || !closed || strings.Contains(got, "HTTP/1.1 404 ") != (after != "") {
				t.Errorf("closed = %v, answer %.300q", closed, got)
			}
		})
	}
}

func TestASlowHeaderIsCutOffAndIdleConnectionsHarmNobody(t *testing.T) {
	t.Parallel()
	r := start(t)
	slow := r.dial()
	_, err := io.WriteString(slow, "GET /jobs HTTP/1.1\r\nHost: x\r\nX: ")
	r.must(err)
	for range 2000 {
		c := r.dial()
		_, err := io.WriteString(c, "G")
		r.must(err)
	}
	r.want(r.do(request{path: "/jobs"}), 200, `{"jobs":[],"next":null}`)
	drip := time.NewTicker(100 * time.Millisecond)
	defer drip.Stop()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, slow) // until the server hangs up, or the test's patience with the connection ends
		ended <- err
	}()
	for { // one byte at a time does not help
		select {
		case err := <-ended:
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the header may take as long as it likes")
			}
			return
		case <-drip.C:
			_, _ = io.WriteString(slow, "x")
		}
	}
}

func TestOnlyWhatIsThereIsAnswered(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, method := range []string{"TRACE", "CONNECT", "OPTIONS", "PUT", "PATCH", "FOO", "get", "DELETE"} {
		for _, path := range []string{"/jobs", "/upload", "/download", "/login"} {
			a := r.do(request{method: method, path: path})
			if a.status != 405 || a.header.Get("Allow") == "" || strings.Contains(a.body, sid) {
				t.Errorf("%s %s = %d %q, Allow %q", method, path, a.status, a.body, a.header.Get("Allow"))
			}
		}
	}
	for name, text := range map[string]string{
		"of a proxy":          "CONNECT mongodb:27017 HTTP/1.1\r\nHost: mongodb:27017\r\nConnection: close\r\n\r\n",
		"of all":              "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"of none, on no path": "TRACE /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	} {
		if got, _ := r.exchange(text); !strings.HasPrefix(got, "HTTP/1.1 405 ") || !strings.Contains(got, "nosniff") {
			t.Errorf("%s: answer %q", name, got)
		}
	}
	for _, path := range []string{
		"/metrics", "/livez", "/readyz", "/healthz", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/validate", "/.git/config", "/.env",
		"/upload/", "/jobs/", "//jobs", "/../jobs", "/%2e%2e/jobs", "/jobs/../download", "/UPLOAD", "/jobs%00",
	} {
		if a := r.do(request{path: path}); a.status != 404 || a.body != "not found" {
			t.Errorf("GET %s = %d %.100q", path, a.status, a.body)
		}
	}
}

func TestEveryAnswerIsSafeAndSaysNothingOfTheServer(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.MaxUpload = 100 })
	done := r.convert(r.upload("video").ID, "sound")
	for _, q := range []request{
		{path: "/login", method: "POST"}, {path: "/logout", method: "POST"}, {path: "/jobs"}, {path: "/jobs/" + done.ID}, {path: "/jobs", token: "-"},
		{path: "/download?fid=" + done.MP3}, {path: "/download?fid=" + done.MP3, method: "HEAD"}, {path: "/download?fid=x"}, {path: "/nothing"},
		{path: "/upload", form: file("video")}, {path: "/upload", form: file(strings.Repeat("v", 200))}, {path: "/upload", method: "TRACE"},
		{path: "/download?fid=" + done.MP3, header: http.Header{"Range": {"bytes=9-"}}},
	} {
		a := r.do(q)
		for name, want := range map[string]string{
			"X-Content-Type-Options":  "nosniff",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"Referrer-Policy":         "no-referrer",
			"Cache-Control":           "no-store", // also of tokens
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s %s = %d: %s is %q, want %q", q.method, q.path, a.status, name, got, want)
			}
		}
		for _, name := range []string{"Server", "X-Powered-By", "Via", "Set-Cookie", "Access-Control-Allow-Origin"} {
			if got := a.header.Values(name); got != nil {
				t.Errorf("%s %s = %d: %s is %q", q.method, q.path, a.status, name, got)
			}
		}
	}
}

// Whoever is in front may say who the client is; nobody may say who the user is.
func TestHeadersDoNotMakeSomebodyElse(t *testing.T) {
	t.Parallel()
	r := start(t)
	mine := r.upload("video")
	for _, name := range []string{
		"X-User", "X-Username", "X-Forwarded-User", "X-Remote-User", "Remote-User", "X-Auth-Request-Email", "X-Forwarded-Email", "X-Admin",
		"X-Forwarded-For", "X-Real-Ip", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto", "Cookie", "Proxy-Authorization",
	} {
		h := http.Header{name: {sid}}
		a := r.do(request{path: "/jobs/" + mine.ID, token: ann, header: h.Clone()})
		r.want(a, 404, "no such job")
		r.want(r.do(request{path: "/jobs/" + mine.ID, token: "-", header: h.Clone()}), 401, "missing credentials")
		r.want(r.do(request{path: "/jobs/" + mine.ID, token: "guest:" + sid, header: h.Clone()}), 401, "not authorized")
	}
	for name, value := range map[string]string{
		"X-Http-Method-Override": "DELETE", "X-Http-Method": "DELETE", "X-Method-Override": "DELETE",
		"X-Original-Url": "/jobs", "X-Rewrite-Url": "/jobs",
	} {
		a := r.do(request{path: "/jobs/" + mine.ID, header: http.Header{name: {value}}})
		if a.status != 200 || !strings.Contains(a.body, `{"id":"`+mine.ID) {
			t.Errorf("%s: answer = %d %q", name, a.status, a.body)
		}
	}
	if j := r.job(mine.ID); j.Version != mine.Version {
		t.Errorf("the job has changed: %+v", j)
	}
	r.want(r.do(request{path: "/jobs?token=" + sid + "&access_token=" + sid, token: "-"}), 401, "missing credentials")
}

// Whether an id is somebody else's cannot be told from any answer.
func TestForeignIDsAnswerAsUnknownOnesDo(t *testing.T) {
	t.Parallel()
	r := start(t)
	done, failed, queued := r.convert(r.upload("video").ID, "sound"), r.fail(r.upload("video").ID), r.upload("video")
	next := done.ID[:23] + string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", done.ID[23])+1)%16])
	for _, form := range []struct{ method, path string }{
		{"GET", "/download?fid=%s"}, {"HEAD", "/download?fid=%s"}, {"GET", "/jobs/%s"}, {"GET", "/jobs/%s/events"}, {"DELETE", "/jobs/%s"}, {"POST", "/jobs/%s/retry"},
	} {
		for _, accept := range []string{"", "application/json"} {
			ask := func(id string) answer {
				a := r.do(request{method: form.method, path: fmt.Sprintf(form.path, id), token: ann, header: http.Header{"Accept": {accept}}})
				a.body = strings.ReplaceAll(a.body, a.header.Get("X-Request-Id"), "")
				a.header.Del("Date")
				a.header.Del("X-Request-Id")
				return a
			}
			want := ask(job.NewID(time.Now()))
			if want.status != 404 {
				t.Errorf("%s %s of an unknown id: %d", form.method, form.path, want.status)
			}
			for name, id := range map[string]string{
				"mp3": done.MP3, "converted": done.ID, "failed": failed.ID, "queued": queued.ID, "neighbour": next,
			} {
				if got := ask(id); got.status != want.status || got.body != want.body || !cmp.Equal(got.header, want.header) {
					t.Errorf("%s %s of somebody else's %s = %v, of an unknown id %v", form.method, form.path, name, got, want)
				}
			}
		}
	}
}

// A name is a label: whatever it is, no path, header or answer becomes another by it.
func TestHostileFileNamesAreLabels(t *testing.T) {
	t.Parallel()
	r := start(t)
	for name, tt := range map[string]struct {
		disposition string // of the part, after form-data; name=f;
		want        string // "" is refused
	}{
		"an encoded line end":      {`filename="a.mp4%0d%0aX-Evil: 1"`, "a.mp4%0d%0aX-Evil: 1"},
		"a line end by RFC 5987":   {`filename*=UTF-8''a%0d%0aX-Evil%3a%201.mp4`, "aX-Evil: 1.mp4"},
		"a line end, folded":       {"filename=\"a\r\n X-Evil: 1.mp4\"", "a X-Evil: 1.mp4"},
		"a quote":                  {`filename="a\"; filename=\"b.mp4"`, `a"; filename="b.mp4`},
		"markup":                   {`filename="<script>alert(1)<\/script>.mp4"`, "script>.mp4"},
		"an absolute path":         {`filename="/etc/passwd"`, "passwd"},
		"up":                       {`filename="../../../../etc/passwd"`, "passwd"},
		"up, encoded":              {`filename*=UTF-8''..%2f..%2fetc%2fpasswd`, "passwd"},
		"only up":                  {`filename=".."`, "video"},
		"a Windows path":           {`filename="C:\\Windows\\system32\\cmd.exe"`, "cmd.exe"},
		"an option":                {`filename="-i.mp4"`, "-i.mp4"},
		"a protocol":               {`filename="concat:a|b"`, "concat:a|b"},
		"a NUL by RFC 5987":        {`filename*=UTF-8''a%00.mp4`, "a.mp4"},
		"right to left":            {"filename=\"a\u202e4pm.exe\"", "a4pm.exe"},
		"right to left, 5987":      {`filename*=UTF-8''a%e2%80%ae4pm.exe`, "a4pm.exe"},
		"line separators":          {"filename=\"a\u2028b\u2029.mp4\"", "ab.mp4"},
		"not UTF-8":                {"filename=\"a\xff\xfe.mp4\"", "a.mp4"},
		"not UTF-8 by RFC 5987":    {`filename*=UTF-8''a%ff.mp4`, "a.mp4"},
		"invalid RFC 5987":         {`filename*=nonsense`, "video"},
		"an unknown character set": {`filename*=EBCDIC''a%c1`, "video"},
		"two, one of them bad":     {`filename=a.mp4; filename*=UTF-8''%zz`, "a.mp4"},
		"10 KB":                    {`filename="` + strings.Repeat("n", 10_000) + `"`, strings.Repeat("n", 255)},
		"64 KB":                    {`filename="` + strings.Repeat("n", 64<<10) + `"`, ""},
		"a NUL":                    {"filename=\"a\x00b.mp4\"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			body := "--b\r\nContent-Disposition: form-data; name=f; " + tt.disposition + "\r\n\r\nvideo" + closing
			a := r.do(request{
				path: "/upload", header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}, "Accept": {"application/json"}},
				body: strings.NewReader(body), bytes: int64(len(body)),
			})
			if tt.want == "" {
				if a.status != 400 {
					t.Errorf("answer = %d %.200q", a.status, a.body)
				}
				r.wantNothing()
				return
			}
			id := r.json(a, 200)["id"].(string)
			if got := r.json(a, 200)["file_name"]; got != tt.want || r.job(id).Name != tt.want {
				t.Errorf("file_name = %q, want %q", got, tt.want)
			}
			if f, content, err := r.videos.Open(t.Context(), id); err != nil || content.Close() != nil || f.Name != tt.want {
				t.Errorf("the store has it as %q (%v)", f.Name, err)
			}
			done := r.convert(id, "sound")
			for _, path := range r.stored() {
				if !storedUnderAnID.MatchString(strings.TrimPrefix(path, r.dir)) {
					t.Errorf("a file is stored as %q", path)
				}
			}
			d := r.do(request{path: "/download?fid=" + done.MP3})
			r.want(d, 200, "sound")
			r.wantHeader(d, done.MP3, len("sound"))
			for _, h := range []http.Header{a.header, d.header} {
				if h.Get("X-Evil") != "" || strings.Contains(fmt.Sprint(h), "passwd") {
					t.Errorf("header = %v", h)
				}
			}
			r.must(r.videos.Delete(t.Context(), done.ID))
			r.must(r.mp3s.Delete(t.Context(), done.MP3))
			r.must(r.ledger.Remove(t.Context(), done.ID))
		})
	}
}

// What is broken within is nobody's business.
func TestFailuresSayNothingOfWhatIsWithin(t *testing.T) {
	t.Parallel()
	var down bool
	r := start(t, broken(func(_ string, call func() error) error {
		if down {
			return fmt.Errorf("open /var/lib/mp3converter/%s: %w", "64f000000000000000000001", errDown)
		}
		return call()
	}))
	done := r.upload("video")
	down = true
	for _, q := range []request{
		{path: "/upload", form: file("video")}, {path: "/upload", form: file("video"), header: http.Header{"Idempotency-Key": {"k"}}},
		{path: "/jobs"}, {path: "/jobs/" + done.ID}, {path: "/jobs/" + done.ID, method: "DELETE"}, {path: "/jobs/" + done.ID + "/retry", method: "POST"},
		{path: "/download?fid=" + done.ID},
	} {
		for _, accept := range []string{"*/*", "application/json"} {
			if q.header == nil {
				q.header = http.Header{}
			}
			q.header.Set("Accept", accept)
			a := r.do(q)
			if a.status != 503 {
				t.Errorf("%s %s = %d %q", q.method, q.path, a.status, a.body)
			}
			for _, secret := range []string{"/var", "10.0.0.7", "27017", "64f0", "goroutine", ".go", "refused", sid} {
				if strings.Contains(a.body, secret) {
					t.Errorf("%s %s: %q", q.method, q.path, a.body)
				}
			}
		}
	}
}
