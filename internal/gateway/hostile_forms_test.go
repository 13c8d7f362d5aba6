package gateway_test

import (
	"io"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"mp3converter/internal/gateway"
)

func TestBoundariesThatNoFormHas(t *testing.T) {
	t.Parallel()
	r := start(t)
	for name, tt := range map[string]struct {
		boundary string // in the header, as it is
		in       string // the body
		status   int
	}{
		"the longest":           {strings.Repeat("b", 70), strings.Repeat("b", 70), 200},
		"odd characters":        {`"'()+_,-./:=? b"`, "'()+_,-./:=? b", 200},
		"71 characters":         {strings.Repeat("b", 71), strings.Repeat("b", 71), 400},
		"200 characters":        {strings.Repeat("b", 200), strings.Repeat("b", 200), 400},
		"none":                  {`""`, "", 400},
		"a space at its end":    {`"b "`, "b ", 400},
		"only a space":          {`" "`, " ", 400},
		"not ASCII":             {`"bü"`, "bü", 400},
		"a tab":                 {"\"b\tb\"", "b\tb", 400},
		"a quote":               {`"b\"b"`, `b"b`, 400},
		"braces":                {`"b{b}"`, "b{b}", 400},
		"two":                   {"b; boundary=c", "b", 400},
		"two alike":             {"b; boundary=b", "b", 400},
		"continued, RFC 2231":   {"x; boundary*0=b; boundary*1=c", "bc", 400},
		"encoded, RFC 2231":     {"; boundary*=UTF-8''%62%0d%0ac", "b\r\nc", 400},
		"another than the body": {"c", "b", 400},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.ReplaceAll(opening+"video"+closing, "--b", "--"+tt.in)
			a := r.in(t).do(request{
				path: "/upload", header: http.Header{"Content-Type": {"multipart/form-data; boundary=" + tt.boundary}},
				body: strings.NewReader(body), bytes: int64(len(body)),
			})
			if a.status != tt.status {
				t.Errorf("answer = %d %q, want %d", a.status, a.body, tt.status)
			}
			if tt.status == 200 {
				r.in(t).checkAndForget(a, file("video"))
			}
			r.in(t).wantNothing()
		})
	}
}

func TestAFormHasOneContentType(t *testing.T) {
	t.Parallel()
	r := start(t)
	good := "multipart/form-data; boundary=b"
	for name, tt := range map[string]struct {
		types  []string
		status int
	}{
		"one":                   {[]string{good}, 200},
		"two alike":             {[]string{good, good}, 400},
		"two":                   {[]string{good, "video/mp4"}, 400},
		"an encoded boundary":   {[]string{"multipart/form-data; boundary*=UTF-8''b"}, 400},
		"a boundary in pieces":  {[]string{"multipart/form-data; boundary*0=b"}, 400},
		"a charset beside":      {[]string{"Multipart/Form-Data;charset=utf-8;BOUNDARY=\"b\""}, 200},
		"a boundary in another": {[]string{"multipart/form-data; x=\"; boundary=c\"; boundary=b"}, 400},
	} {
		h := http.Header{"Content-Type": tt.types}
		a := r.do(request{path: "/upload", header: h, body: strings.NewReader(opening + "video" + closing)})
		if a.status != tt.status {
			t.Errorf("%s: answer = %d %q, want %d", name, a.status, a.body, tt.status)
		}
		if a.status == 200 {
			r.checkAndForget(a, file("video"))
		}
	}
	r.wantNothing()
}

// Whatever a form is made of, reading it takes little memory.
func TestHostileFormsAreRefusedInLittleMemory(t *testing.T) {
	r := start(t)
	part := "--b\r\nContent-Disposition: form-data; name=x\r\n\r\ny\r\n"
	mixed := "--b\r\nContent-Disposition: form-data; name=f; filename=a\r\nContent-Type: Multipart/Mixed; boundary=c\r\n\r\n" +
		"--c\r\nContent-Disposition: file; filename=b\r\n\r\nvideo\r\n--c--"
	for name, tt := range map[string]struct {
		body io.Reader
		text string
	}{
		"10 000 parts":                 {io.MultiReader(strings.NewReader(strings.Repeat(part, 10_000)), strings.NewReader("--b--")), "fields"},
		"10 000 empty files":           {strings.NewReader(strings.Repeat("--b\r\nContent-Disposition: form-data; filename=\"\"\r\n\r\n\r\n", 10_000) + "--b--"), "fields"},
		"a part header of 10 MB":       {io.MultiReader(strings.NewReader("--b\r\nX: "), io.LimitReader(letters{}, 10*mega), strings.NewReader("\r\n\r\nv"+closing)), "fields"},
		"a part of a million headers":  {strings.NewReader("--b\r\n" + strings.Repeat("X: y\r\n", mega) + "\r\nv" + closing), "the form"},
		"a header line without an end": {io.MultiReader(strings.NewReader("--b\r\n"), io.LimitReader(letters{}, 10*mega)), "fields"},
		"a name of 10 MB": {io.MultiReader(strings.NewReader("--b\r\nContent-Disposition: form-data; filename="),
			io.LimitReader(letters{}, 10*mega), strings.NewReader("\r\n\r\nv"+closing)), "fields"},
		"a form in the form":       {strings.NewReader(mixed + closing), "malformed"},
		"a form instead of a file": {strings.NewReader(strings.Replace(mixed, "; filename=a", "", 1) + closing), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			a := r.do(request{path: "/upload", body: tt.body, header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}})
			runtime.ReadMemStats(&after)
			r.wantProblem(a, 400, tt.text)
			if n := after.TotalAlloc - before.TotalAlloc; n > 2*mega {
				t.Errorf("%d bytes were allocated", n)
			}
			r.wantNothing()
		})
	}
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

var storedUnderAnID = regexp.MustCompile(`^/(videos|mp3s)/[0-9a-f]{24}/(data|meta\.json)$`)

func TestTheLimitOfAFileIsExact(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.MaxUpload = 100_000 })
	for _, chunked := range []bool{false, true} {
		for by, status := range map[int]int{-1: 200, 0: 200, 1: 413, 1000: 413} {
			if a := r.do(of(100_000+by, chunked)); a.status != status || a.err != nil {
				t.Errorf("limit%+d, chunked %v: answer = %d %q (%v)", by, chunked, a.status, a.body, a.err)
			}
		}
	}
	if n := len(r.stored()); n != 8 { // a file is two: its bytes, and what is known of it
		t.Errorf("%d files are stored: %q", n, r.stored())
	}
}
