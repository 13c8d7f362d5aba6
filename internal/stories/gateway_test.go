package stories

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/user"
)

// unknown is the id of nothing.
const unknown = "64f0000000000000000000ff"

func thePlainRow(t *testing.T, s *suite) {
	const plain = "sid123"
	p := s.add(t, user.User{Password: plain, Admin: true})
	p.password = plain
	p.login(t)
	row, err := s.Users.Find(t.Context(), p.email)
	if err != nil || !strings.HasPrefix(row.Password, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the row after the login: %+v, %v", row, err)
	}
	p.login(t)
	p.password = "sid124"
	send(t, request{base: p.URL, method: http.MethodPost, path: "/login", auth: basic(p.email, p.password)}).is(t, 401, "invalid credentials")
}

func uploadRows(t *testing.T, s *suite) {
	p := s.someone(t)
	video := []byte(read(t, clip(t)))
	for name, tt := range map[string]struct {
		parts  []part
		status int
		body   string
	}{
		"a file":                        {[]part{{"file", "vid_1.mp4", video}}, 200, "success!"},
		"a file under any name":         {[]part{{"video", "vid_1.mp4", video}}, 200, "success!"},
		"a file and a field":            {[]part{{"a", "", []byte("b")}, {"file", "vid_1.mp4", video}}, 200, "success!"},
		"no file":                       {[]part{{"file", "", video}}, 400, "exactly 1 file required"},
		"nothing":                       {nil, 400, "exactly 1 file required"},
		"two files":                     {[]part{{"a", "a.mp4", video}, {"b", "b.mp4", video}}, 400, "exactly 1 file required"},
		"two files under one name":      {[]part{{"file", "a.mp4", video}, {"file", "b.mp4", video}}, 400, "exactly 1 file required"},
		"an empty file":                 {[]part{{"file", "a.mp4", nil}}, 400, "the file is empty"},
		"a file over the limit":         {[]part{{"file", "a.mp4", make([]byte, maxUpload+1)}}, 413, "the file is too large"},
		"a profile that does not exist": {[]part{{"profile", "", []byte("loud")}, {"file", "a.mp4", video}}, 400, `profile "loud" is not one of standard, cbr128, voice, high, best`},
		"such a profile after the file": {[]part{{"file", "a.mp4", video}, {"profile", "", []byte("loud")}}, 400, `profile "loud" is not one of standard, cbr128, voice, high, best`},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.post(t, "/upload", nil, tt.parts...)
			a.is(t, tt.status, tt.body)
			plain(t, a)
			if location := a.header.Get("Location"); (location != "") != (tt.status == 200) {
				t.Errorf("Location = %q", location)
			}
		})
	}
	t.Run("no form", func(t *testing.T) {
		p.do(t, request{method: http.MethodPost, path: "/upload", body: strings.NewReader("video")}).is(t, 400, "exactly 1 file required")
	})
	t.Run("a profile in the query that does not exist", func(t *testing.T) {
		p.post(t, "/upload?profile=loud", nil, part{"file", "a.mp4", video}).is(t, 400, `profile "loud" is not one of standard, cbr128, voice, high, best`)
	})
	if jobs := p.list(t, ""); len(jobs.Jobs) != 3 {
		t.Errorf("%d jobs after 3 uploads that were accepted", len(jobs.Jobs))
	}
	p.mailed(t, 3)
}

func downloadRows(t *testing.T, s *suite) {
	p, other := s.someone(t), s.someone(t)
	id := p.upload(t, clip(t), "vid_1.mp4")
	fid := orEmpty(p.reaches(t, id, "done").MP3)
	silent := p.upload(t, testmedia.Clip(t, testmedia.Spec{Audio: testmedia.None}), "silent.mp4")
	p.reaches(t, silent, "failed")
	const malformed = "fid must be one value of 24 hex digits"
	for name, tt := range map[string]struct {
		p      *person
		query  string
		status int
		body   string
	}{
		"no fid":                 {p, "", 400, "fid is required"},
		"an empty fid":           {p, "?fid=", 400, "fid is required"},
		"a short fid":            {p, "?fid=64f0", 400, malformed},
		"a fid that is no hex":   {p, "?fid=" + strings.Repeat("z", 24), 400, malformed},
		"an operator as fid":     {p, "?fid[$ne]=" + unknown, 400, "fid is required"},
		"two fids":               {p, "?fid=" + fid + "&fid=" + fid, 400, malformed},
		"an unknown fid":         {p, "?fid=" + unknown, 404, "no such file"},
		"somebody else's MP3":    {other, "?fid=" + fid, 404, "no such file"},
		"somebody else's video":  {other, "?fid=" + id, 404, "no such file"},
		"a job that made no MP3": {p, "?fid=" + silent, 404, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			a := tt.p.get(t, "/download"+tt.query)
			a.is(t, tt.status, tt.body)
			plain(t, a)
		})
	}
}

func theOrderOfChecks(t *testing.T, s *suite) {
	p := s.someone(t)
	video := part{"file", "a.mp4", []byte("video")}
	for name, tt := range map[string]struct {
		auth   string
		status int
		body   string
	}{
		"no header":                           {"", 401, "missing credentials"},
		"no space":                            {"Bearer", 403, "not authorized"},
		"another scheme":                      {basic(p.email, p.password), 403, "not authorized"},
		"a bad token":                         {"Bearer bad", 403, "not authorized"},
		"an expired token":                    {"Bearer " + sign(s.Secret, hs256, claims(p.email, true, -time.Second)), 403, "not authorized"},
		"one badly signed":                    {"Bearer " + p.token[:len(p.token)-4] + "AAAA", 403, "not authorized"},
		"claim admin false":                   {"Bearer " + sign(s.Secret, hs256, claims(p.email, false, time.Hour)), 401, "not authorized"},
		"an expired token that is no admin's": {"Bearer " + sign(s.Secret, hs256, claims(p.email, false, -time.Second)), 403, "not authorized"},
	} {
		t.Run(name, func(t *testing.T) {
			for path, parts := range map[string][]part{"/upload": {video}, "/upload?profile=loud": {video, video}, "/upload?": nil} {
				body, header := form(t, parts...)
				send(t, request{base: s.URL, method: http.MethodPost, path: path, auth: tt.auth, header: header, body: body}).is(t, tt.status, tt.body)
			}
			for _, path := range []string{"/download?fid=" + unknown, "/download?fid=x", "/download", "/jobs", "/jobs/" + unknown} {
				send(t, request{base: s.URL, path: path, auth: tt.auth}).is(t, tt.status, tt.body)
			}
		})
	}
	p.get(t, "/download").is(t, 400, "fid is required")
	if jobs := p.list(t, ""); len(jobs.Jobs) != 0 {
		t.Errorf("refused uploads have left jobs: %+v", jobs)
	}
}

// theGuest logs in, by a row that says that they are no admin, and is let do nothing.
func theGuest(t *testing.T, s *suite) {
	p := s.add(t, user.User{Password: hashed(), Admin: false})
	p.login(t)
	if a := send(t, request{base: s.Auth, method: http.MethodPost, path: "/validate", auth: "Bearer " + p.token}); a.status != 200 || !strings.HasPrefix(a.body, `{"admin":false,`) {
		t.Errorf("validate = %d %s", a.status, a.body)
	}
	p.post(t, "/upload", nil, part{"file", "a.mp4", []byte("video")}).is(t, 401, "not authorized")
	p.get(t, "/download?fid="+unknown).is(t, 401, "not authorized")
}

func theJSON(t *testing.T, s *suite) {
	p := s.someone(t)
	wants := http.Header{"Accept": {"application/json"}}
	var j jobView
	a := p.post(t, "/upload", wants, part{"file", "vid_1.mp4", []byte(read(t, clip(t)))})
	a.into(t, &j)
	if a.status != 200 || j.ID != jobOf(t, a) || j.Video != j.ID || j.State != "queued" || j.FileName != "vid_1.mp4" || j.MP3 != nil {
		t.Errorf("upload = %d %s", a.status, a.body)
	}
	for name, tt := range map[string]struct {
		r      request
		status int
		detail string
	}{
		"no fid":      {p.with(request{path: "/download"}), 400, "fid is required"},
		"no file":     {p.with(request{path: "/download?fid=" + unknown}), 404, "no such file"},
		"no job":      {p.with(request{path: "/jobs/" + unknown}), 404, "no such job"},
		"no page":     {request{base: s.URL, path: "/nowhere"}, 404, "not found"},
		"no header":   {request{base: s.URL, path: "/jobs"}, 401, "missing credentials"},
		"no token":    {request{base: s.URL, path: "/jobs", auth: "Bearer bad"}, 403, "not authorized"},
		"no password": {request{base: s.Auth, path: "/login", method: http.MethodPost}, 401, "missing credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.r.header = wants
			a := send(t, tt.r)
			var problem struct {
				Type, Title, Detail string
				Status              int
				RequestID           string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(a.body), &problem); err != nil || a.header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("answer = %d %v %q: %v", a.status, a.header, a.body, err)
			}
			if a.status != tt.status || problem.Status != tt.status || problem.Detail != tt.detail || problem.Title != http.StatusText(tt.status) {
				t.Errorf("problem = %d %+v, want %d %q", a.status, problem, tt.status, tt.detail)
			}
			if problem.RequestID == "" || problem.RequestID != a.header.Get("X-Request-Id") {
				t.Errorf("request_id = %q, X-Request-Id = %q", problem.RequestID, a.header.Get("X-Request-Id"))
			}
		})
	}
	for _, accept := range []string{"*/*", "text/html,application/json;q=0.9"} {
		a := p.do(t, request{path: "/download", header: http.Header{"Accept": {accept}}})
		a.is(t, 400, "fid is required")
	}
}

func theDownload(t *testing.T, s *suite) {
	p := s.someone(t)
	fid := orEmpty(p.reaches(t, p.upload(t, clip(t), "vid_1.mp4"), "done").MP3)
	path := "/download?fid=" + fid
	whole := p.get(t, path)
	size, tag := len(whole.body), whole.header.Get("ETag")
	for name, want := range map[string]string{
		"Content-Type": "audio/mpeg", "Content-Disposition": "inline; filename=" + fid + ".mp3", "Accept-Ranges": "bytes",
		"Content-Length": itoa(size),
	} {
		if got := whole.header.Get(name); whole.status != 200 || got != want {
			t.Errorf("download = %d with %s: %q, want %q", whole.status, name, got, want)
		}
	}
	if size < 1000 || !strings.HasPrefix(tag, `"`) {
		t.Fatalf("%d bytes with ETag %q", size, tag)
	}
	for name, tt := range map[string]struct {
		header, value string
		status        int
		body, extent  string
	}{
		"the first bytes":        {"Range", "bytes=0-99", 206, whole.body[:100], "bytes 0-99/" + itoa(size)},
		"from the middle on":     {"Range", "bytes=500-", 206, whole.body[500:], "bytes 500-" + itoa(size-1) + "/" + itoa(size)},
		"the last bytes":         {"Range", "bytes=-10", 206, whole.body[size-10:], "bytes " + itoa(size-10) + "-" + itoa(size-1) + "/" + itoa(size)},
		"behind the end":         {"Range", "bytes=" + itoa(size) + "-", 416, "invalid range: failed to overlap", "bytes */" + itoa(size)},
		"unless I have it":       {"If-None-Match", tag, 304, "", ""},
		"unless I have another":  {"If-None-Match", `"x"`, 200, whole.body, ""},
		"only if it is this one": {"If-Match", `"x"`, 412, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.do(t, request{path: path, header: http.Header{tt.header: {tt.value}}})
			if a.status != tt.status || strings.TrimSpace(a.body) != strings.TrimSpace(tt.body) || a.header.Get("Content-Range") != tt.extent {
				t.Errorf("answer = %d, %d bytes %.40q, Content-Range %q; want %d, %d bytes, %q",
					a.status, len(a.body), a.body, a.header.Get("Content-Range"), tt.status, len(tt.body), tt.extent)
			}
		})
	}
	t.Run("two ranges", func(t *testing.T) {
		a := p.do(t, request{path: path, header: http.Header{"Range": {"bytes=0-9,100-109"}}})
		if a.status != 206 || !strings.HasPrefix(a.header.Get("Content-Type"), "multipart/byteranges") ||
			!strings.Contains(a.body, whole.body[:10]) || !strings.Contains(a.body, whole.body[100:110]) {
			t.Errorf("answer = %d %v", a.status, a.header)
		}
	})
	t.Run("only described", func(t *testing.T) {
		a := p.do(t, request{method: http.MethodHead, path: path})
		if a.status != 200 || a.body != "" || a.header.Get("Content-Length") != itoa(size) || a.header.Get("ETag") != tag {
			t.Errorf("HEAD = %d %v %q", a.status, a.header, a.body)
		}
	})
}
