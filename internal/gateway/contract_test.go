package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

func TestUploads(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.MaxUpload = 1000 })
	type header = http.Header
	many := file("video")
	for range 100 {
		many = append(many, part{field: "x"})
	}
	for name, tt := range map[string]struct {
		request
		status int
		text   string
	}{
		"one file":                                {request{form: file("video")}, 200, "success!"},
		"under another field":                     {request{form: []part{{"video", "a.mp4", "video"}}}, 200, "success!"},
		"with fields before and after":            {request{form: []part{{"a", "", "b"}, {"file", "a", "video"}, {"c", "", "d"}}}, 200, "success!"},
		"beside an empty file input":              {request{form: []part{{"f", noName, ""}, {"file", "a", "video"}, {"g", noName, ""}}}, 200, "success!"},
		"without a name, but with bytes":          {request{form: []part{{"file", noName, "video"}}}, 200, "success!"},
		"with a profile":                          {request{form: append(file("video"), part{"profile", "", "voice"})}, 200, "success!"},
		"with a profile in the query":             {request{path: "?profile=best", form: file("video")}, 200, "success!"},
		"with a key":                              {request{form: file("video"), header: header{"Idempotency-Key": {strings.Repeat("k", 255)}}}, 200, "success!"},
		"of exactly the limit":                    {request{form: file(strings.Repeat("v", 1000))}, 200, "success!"},
		"encoded with identity":                   {request{form: file("video"), header: header{"Content-Encoding": {"identity"}}}, 200, "success!"},
		"no file":                                 {request{form: []part{{"file", "", "video"}}}, 400, "exactly 1 file required"},
		"an empty form":                           {request{form: []part{}}, 400, "exactly 1 file required"},
		"only an empty file input":                {request{form: []part{{"file", noName, ""}}}, 400, "exactly 1 file required"},
		"two files":                               {request{form: []part{{"a", "a", "video"}, {"b", "b", "video"}}}, 400, "exactly 1 file required"},
		"two under one name":                      {request{form: []part{{"file", "a", "video"}, {"file", "a", "video"}}}, 400, "exactly 1 file required"},
		"two, one of them empty":                  {request{form: []part{{"a", "a", ""}, {"b", "b", "video"}}}, 400, "exactly 1 file required"},
		"two, the other empty":                    {request{form: []part{{"a", "a", "video"}, {"b", "b", ""}}}, 400, "exactly 1 file required"},
		"no body":                                 {request{method: "POST"}, 400, "exactly 1 file required"},
		"no form":                                 {request{body: strings.NewReader("video")}, 400, "exactly 1 file required"},
		"a form of the other kind":                {request{body: strings.NewReader("a=b"), header: header{"Content-Type": {"application/x-www-form-urlencoded"}}}, 400, "exactly 1 file required"},
		"a form without boundary":                 {request{body: strings.NewReader("video"), header: header{"Content-Type": {"multipart/form-data"}}}, 400, "exactly 1 file required"},
		"two boundaries":                          {request{body: strings.NewReader("video"), header: header{"Content-Type": {"multipart/form-data; boundary=a; boundary=b"}}}, 400, "exactly 1 file required"},
		"a boundary that is not there":            {request{body: strings.NewReader("video"), header: header{"Content-Type": {"multipart/form-data; boundary=a"}}}, 400, "malformed"},
		"an empty file":                           {request{form: file("")}, 400, "the file is empty"},
		"over the limit by one":                   {request{form: file(strings.Repeat("v", 1001))}, 413, "too large"},
		"far over the limit":                      {request{form: file(strings.Repeat("v", 1<<20))}, 413, "too large"},
		"an unknown profile":                      {request{form: append(file("video"), part{"profile", "", "loud"})}, 400, "standard, cbr128, voice, high, best"},
		"an unknown one before the file":          {request{form: append([]part{{"profile", "", "loud"}}, file("video")...)}, 400, `"loud"`},
		"an unknown one in the query":             {request{path: "?profile=loud", form: file("video")}, 400, "standard, cbr128, voice, high, best"},
		"a huge profile":                          {request{form: append(file("video"), part{"profile", "", strings.Repeat("p", 2000)})}, 400, "fields"},
		"huge fields":                             {request{form: append(file("video"), part{"x", "", strings.Repeat("x", 100<<10)})}, 413, "too large"},
		"many fields":                             {request{form: many}, 400, "fields"},
		"a gzip bomb":                             {request{form: file("video"), header: header{"Content-Encoding": {"gzip"}}}, 415, "Content-Encoding"},
		"an empty key":                            {request{form: file("video"), header: header{"Idempotency-Key": {""}}}, 400, "Idempotency-Key"},
		"a long key":                              {request{form: file("video"), header: header{"Idempotency-Key": {strings.Repeat("k", 256)}}}, 400, "Idempotency-Key"},
		"a key that is not ASCII":                 {request{form: file("video"), header: header{"Idempotency-Key": {"schlüssel"}}}, 400, "Idempotency-Key"},
		"two keys":                                {request{form: file("video"), header: header{"Idempotency-Key": {"a", "b"}}}, 400, "Idempotency-Key"},
		"a GET":                                   {request{method: "GET"}, 405, "method not allowed"},
		"a page that is not there":                {request{path: "/x"}, 404, "not found"},
		"a problem for a client that wants JSON":  {request{form: []part{}, header: header{"Accept": {"application/json"}}}, 400, `"detail":"exactly 1 file required"`},
		"a method that is there on another path ": {request{method: "DELETE"}, 405, "method not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			tt.request.path = "/upload" + tt.request.path
			a := r.do(tt.request)
			r.wantProblem(a, tt.status, tt.text)
			if tt.status == 200 {
				r.checkAndForget(a, tt.form)
			}
			if tt.status == 405 && a.header.Get("Allow") != "POST" {
				t.Errorf("Allow = %q", a.header.Get("Allow"))
			}
			r.wantNothing()
		})
	}
}

// checkAndForget checks what a good upload has led to and makes it undone.
func (r *rig) checkAndForget(a answer, form []part) {
	r.Helper()
	var want string
	for _, p := range form {
		if p.file != "" && p.content != "" {
			want = p.content
		}
	}
	j := r.job(strings.TrimPrefix(a.header.Get("Location"), "/jobs/"))
	if j.State != job.Queued || j.Owner != sid || j.VideoBytes != int64(len(want)) || r.content(r.videos, j.ID) != want {
		r.Errorf("job = %+v", j)
	}
	if r.rings(j.ID) != 1 {
		r.Errorf("rung %d times", r.rings(j.ID))
	}
	r.must(r.videos.Delete(r.Context(), j.ID))
	r.must(r.ledger.Remove(r.Context(), j.ID))
}

func TestWhatAnUploadSaysIsKept(t *testing.T) {
	t.Parallel()
	r := start(t)
	for name, tt := range map[string]struct {
		path    string
		form    []part
		name    string
		profile job.Profile
	}{
		"nothing":                      {"", file("v"), "vid_1.mp4", job.Standard},
		"a profile in the form":        {"", append(file("v"), part{"profile", "", "cbr128"}), "vid_1.mp4", job.CBR128},
		"a profile in the query":       {"?profile=high", file("v"), "vid_1.mp4", job.High},
		"both: the form's counts":      {"?profile=high", append(file("v"), part{"profile", "", "voice"}), "vid_1.mp4", job.Voice},
		"a profile before the file":    {"", append([]part{{"profile", "", "best"}}, file("v")...), "vid_1.mp4", job.Best},
		"an empty profile":             {"", append(file("v"), part{"profile", "", ""}), "vid_1.mp4", job.Standard},
		"a path":                       {"", []part{{"f", "../../etc/passwd", "v"}}, "passwd", job.Standard},
		"a Windows path":               {"", []part{{"f", `C:\videos\a.mp4`, "v"}}, "a.mp4", job.Standard},
		"a name with an end of line":   {"", []part{{"f", "a\tb.mp4", "v"}}, "ab.mp4", job.Standard},
		"a name in Unicode":            {"", []part{{"f", "Ünï 視頻 🎬.mkv", "v"}}, "Ünï 視頻 🎬.mkv", job.Standard},
		"no name":                      {"", []part{{"f", noName, "v"}}, "video", job.Standard},
		"a name that is longer than":   {"", []part{{"f", strings.Repeat("n", 500), "v"}}, strings.Repeat("n", 255), job.Standard},
		"a name that no parser can do": {"", []part{{"f", "a\xff\"b", "v"}}, "", job.Standard},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			a := r.do(request{path: "/upload" + tt.path, form: tt.form})
			r.want(a, 200, "success!")
			j := r.job(strings.TrimPrefix(a.header.Get("Location"), "/jobs/"))
			if tt.name != "" && j.Name != tt.name || j.Profile != tt.profile {
				t.Errorf("job is %q, %s, want %q, %s", j.Name, j.Profile, tt.name, tt.profile)
			}
		})
	}
}

func TestAClientThatAsksForJSONGetsTheJob(t *testing.T) {
	t.Parallel()
	r := start(t)
	a := r.do(request{path: "/upload", form: file("video"), header: http.Header{"Accept": {"application/json"}}})
	var got map[string]any
	r.must(json.Unmarshal([]byte(a.body), &got))
	id := strings.TrimPrefix(a.header.Get("Location"), "/jobs/")
	if a.status != 200 || !job.IsID(id) || got["id"] != id || got["state"] != "queued" || got["mp3_fid"] != nil {
		t.Errorf("answer = %d %s", a.status, a.body)
	}
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, q := range []request{{path: "/"}, {path: "/jobs"}, {path: "/upload"}, {path: "/jobs", token: "-"}} {
		a := r.do(q)
		for _, name := range []string{"X-Content-Type-Options", "Content-Security-Policy", "X-Request-Id"} {
			if a.header.Get(name) == "" {
				t.Errorf("%s: no %s", q.path, name)
			}
		}
	}
}
