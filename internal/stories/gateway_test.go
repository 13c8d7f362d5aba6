package stories

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/testsuite"

	"mp3converter/internal/testmedia"
	"mp3converter/internal/user"
)

// unknown is the id of nothing.
const unknown = "64f0000000000000000000ff"

func thePlainRow(t *testing.T, s *testsuite.Suite) {
	const plain = "sid123"
	p := s.Add(t, user.User{Password: plain, Admin: true})
	p.Password = plain
	p.Login(t)
	row, err := s.Users.Find(t.Context(), p.Email)
	if err != nil || !strings.HasPrefix(row.Password, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the row after the login: %+v, %v", row, err)
	}
	p.Login(t)
	p.Password = "sid124"
	testsuite.Send(t, testsuite.Request{Base: p.URL, Method: http.MethodPost, Path: "/login", Auth: testsuite.Basic(p.Email, p.Password)}).Is(t, 401, "invalid credentials")
}

func uploadRows(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	video := []byte(testsuite.Read(t, testsuite.Clip(t)))
	for name, tt := range map[string]struct {
		parts  []testsuite.Part
		status int
		body   string
	}{
		"a file":                        {[]testsuite.Part{testsuite.FilePart("file", "vid_1.mp4", video)}, 200, "success!"},
		"a file under any name":         {[]testsuite.Part{testsuite.FilePart("video", "vid_1.mp4", video)}, 200, "success!"},
		"a file and a field":            {[]testsuite.Part{testsuite.FilePart("a", "", []byte("b")), testsuite.FilePart("file", "vid_1.mp4", video)}, 200, "success!"},
		"no file":                       {[]testsuite.Part{testsuite.FilePart("file", "", video)}, 400, "exactly 1 file required"},
		"nothing":                       {nil, 400, "exactly 1 file required"},
		"two files":                     {[]testsuite.Part{testsuite.FilePart("a", "a.mp4", video), testsuite.FilePart("b", "b.mp4", video)}, 400, "exactly 1 file required"},
		"two files under one name":      {[]testsuite.Part{testsuite.FilePart("file", "a.mp4", video), testsuite.FilePart("file", "b.mp4", video)}, 400, "exactly 1 file required"},
		"an empty file":                 {[]testsuite.Part{testsuite.FilePart("file", "a.mp4", nil)}, 400, "the file is empty"},
		"a file over the limit":         {[]testsuite.Part{testsuite.FilePart("file", "a.mp4", make([]byte, testsuite.MaxUpload+1))}, 413, "the file is too large"},
		"a profile that does not exist": {[]testsuite.Part{testsuite.FilePart("profile", "", []byte("loud")), testsuite.FilePart("file", "a.mp4", video)}, 400, `profile "loud" is not one of standard, cbr128, voice, high, best`},
		"such a profile after the file": {[]testsuite.Part{testsuite.FilePart("file", "a.mp4", video), testsuite.FilePart("profile", "", []byte("loud"))}, 400, `profile "loud" is not one of standard, cbr128, voice, high, best`},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.Post(t, "/upload", nil, tt.parts...)
			a.Is(t, tt.status, tt.body)
			plain(t, a)
			if location := a.Header.Get("Location"); (location != "") != (tt.status == 200) {
				t.Errorf("Location = %q", location)
			}
		})
	}
	t.Run("no form", func(t *testing.T) {
		p.Do(t, testsuite.Request{Method: http.MethodPost, Path: "/upload", Body: strings.NewReader("video")}).Is(t, 400, "exactly 1 file required")
	})
	t.Run("a profile in the query that does not exist", func(t *testing.T) {
		p.Post(t, "/upload?profile=loud", nil, testsuite.FilePart("file", "a.mp4", video)).Is(t, 400, `profile "loud" is not one of standard, cbr128, voice, high, best`)
	})
	if jobs := p.List(t, ""); len(jobs.Jobs) != 3 {
		t.Errorf("%d jobs after 3 uploads that were accepted", len(jobs.Jobs))
	}
	p.Mailed(t, 3)
}

func downloadRows(t *testing.T, s *testsuite.Suite) {
	p, other := s.Someone(t), s.Someone(t)
	id := p.Upload(t, testsuite.Clip(t), "vid_1.mp4")
	fid := testsuite.OrEmpty(p.Reaches(t, id, "done").MP3)
	silent := p.Upload(t, testmedia.Clip(t, testmedia.Spec{Audio: testmedia.None}), "silent.mp4")
	p.Reaches(t, silent, "failed")
	const malformed = "fid must be one value of 24 hex digits"
	for name, tt := range map[string]struct {
		p      *testsuite.Person
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
			a := tt.p.Get(t, "/download"+tt.query)
			a.Is(t, tt.status, tt.body)
			plain(t, a)
		})
	}
}

func theOrderOfChecks(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	video := testsuite.FilePart("file", "a.mp4", []byte("video"))
	for name, tt := range map[string]struct {
		auth   string
		status int
		body   string
	}{
		"no header":                           {"", 401, "missing credentials"},
		"no space":                            {"Bearer", 403, "not authorized"},
		"another scheme":                      {testsuite.Basic(p.Email, p.Password), 403, "not authorized"},
		"a bad token":                         {"Bearer bad", 403, "not authorized"},
		"an expired token":                    {"Bearer " + sign(s.Secret, hs256, claims(p.Email, true, -time.Second)), 403, "not authorized"},
		"one badly signed":                    {"Bearer " + p.Token[:len(p.Token)-4] + "AAAA", 403, "not authorized"},
		"claim admin false":                   {"Bearer " + sign(s.Secret, hs256, claims(p.Email, false, time.Hour)), 401, "not authorized"},
		"an expired token that is no admin's": {"Bearer " + sign(s.Secret, hs256, claims(p.Email, false, -time.Second)), 403, "not authorized"},
	} {
		t.Run(name, func(t *testing.T) {
			for path, parts := range map[string][]testsuite.Part{"/upload": {video}, "/upload?profile=loud": {video, video}, "/upload?": nil} {
				body, header := testsuite.Form(t, parts...)
				testsuite.Send(t, testsuite.Request{Base: s.URL, Method: http.MethodPost, Path: path, Auth: tt.auth, Header: header, Body: body}).Is(t, tt.status, tt.body)
			}
			for _, path := range []string{"/download?fid=" + unknown, "/download?fid=x", "/download", "/jobs", "/jobs/" + unknown} {
				testsuite.Send(t, testsuite.Request{Base: s.URL, Path: path, Auth: tt.auth}).Is(t, tt.status, tt.body)
			}
		})
	}
	p.Get(t, "/download").Is(t, 400, "fid is required")
	if jobs := p.List(t, ""); len(jobs.Jobs) != 0 {
		t.Errorf("refused uploads have left jobs: %+v", jobs)
	}
}

// theGuest logs in, by a row that says that they are no admin, and is let do nothing.
func theGuest(t *testing.T, s *testsuite.Suite) {
	p := s.Add(t, user.User{Password: testsuite.Hashed(), Admin: false})
	p.Login(t)
	if a := testsuite.Send(t, testsuite.Request{Base: s.AuthURL, Method: http.MethodPost, Path: "/validate", Auth: "Bearer " + p.Token}); a.Status != 200 || !strings.HasPrefix(a.Body, `{"admin":false,`) {
		t.Errorf("validate = %d %s", a.Status, a.Body)
	}
	p.Post(t, "/upload", nil, testsuite.FilePart("file", "a.mp4", []byte("video"))).Is(t, 401, "not authorized")
	p.Get(t, "/download?fid="+unknown).Is(t, 401, "not authorized")
}

func theJSON(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	wants := http.Header{"Accept": {"application/json"}}
	var j testsuite.JobView
	a := p.Post(t, "/upload", wants, testsuite.FilePart("file", "vid_1.mp4", []byte(testsuite.Read(t, testsuite.Clip(t)))))
	a.Into(t, &j)
	if a.Status != 200 || j.ID != testsuite.JobOf(t, a) || j.Video != j.ID || j.State != "queued" || j.FileName != "vid_1.mp4" || j.MP3 != nil {
		t.Errorf("upload = %d %s", a.Status, a.Body)
	}
	for name, tt := range map[string]struct {
		r      testsuite.Request
		status int
		detail string
	}{
		"no fid":      {p.With(testsuite.Request{Path: "/download"}), 400, "fid is required"},
		"no file":     {p.With(testsuite.Request{Path: "/download?fid=" + unknown}), 404, "no such file"},
		"no job":      {p.With(testsuite.Request{Path: "/jobs/" + unknown}), 404, "no such job"},
		"no page":     {testsuite.Request{Base: s.URL, Path: "/nowhere"}, 404, "not found"},
		"no header":   {testsuite.Request{Base: s.URL, Path: "/jobs"}, 401, "missing credentials"},
		"no token":    {testsuite.Request{Base: s.URL, Path: "/jobs", Auth: "Bearer bad"}, 403, "not authorized"},
		"no password": {testsuite.Request{Base: s.AuthURL, Path: "/login", Method: http.MethodPost}, 401, "missing credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.r.Header = wants
			a := testsuite.Send(t, tt.r)
			var problem struct {
				Type, Title, Detail string
				Status              int
				RequestID           string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(a.Body), &problem); err != nil || a.Header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("answer = %d %v %q: %v", a.Status, a.Header, a.Body, err)
			}
			if a.Status != tt.status || problem.Status != tt.status || problem.Detail != tt.detail || problem.Title != http.StatusText(tt.status) {
				t.Errorf("problem = %d %+v, want %d %q", a.Status, problem, tt.status, tt.detail)
			}
			if problem.RequestID == "" || problem.RequestID != a.Header.Get("X-Request-Id") {
				t.Errorf("request_id = %q, X-Request-Id = %q", problem.RequestID, a.Header.Get("X-Request-Id"))
			}
		})
	}
	for _, accept := range []string{"*/*", "text/plain,application/json;q=0.9", "text/html,application/json;q=0.9"} {
		a := p.Do(t, testsuite.Request{Path: "/download", Header: http.Header{"Accept": {accept}}})
		a.Is(t, 400, "fid is required")
	}
	a = testsuite.Send(t, testsuite.Request{Base: s.URL, Path: "/download", Header: http.Header{"Accept": {"text/html,application/json;q=0.9"}, "Cookie": {"session=" + p.Token}}})
	if a.Status != 400 || a.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(a.Body, "Fid is required.") {
		t.Errorf("a browser gets %d %v %q", a.Status, a.Header, a.Body)
	}
}

func theDownload(t *testing.T, s *testsuite.Suite) {
	p := s.Someone(t)
	fid := testsuite.OrEmpty(p.Reaches(t, p.Upload(t, testsuite.Clip(t), "vid_1.mp4"), "done").MP3)
	path := "/download?fid=" + fid
	whole := p.Get(t, path)
	size, tag := len(whole.Body), whole.Header.Get("ETag")
	for name, want := range map[string]string{
		"Content-Type": "audio/mpeg", "Content-Disposition": "inline; filename=" + fid + ".mp3", "Accept-Ranges": "bytes",
		"Content-Length": itoa(size),
	} {
		if got := whole.Header.Get(name); whole.Status != 200 || got != want {
			t.Errorf("download = %d with %s: %q, want %q", whole.Status, name, got, want)
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
		"the first bytes":        {"Range", "bytes=0-99", 206, whole.Body[:100], "bytes 0-99/" + itoa(size)},
		"from the middle on":     {"Range", "bytes=500-", 206, whole.Body[500:], "bytes 500-" + itoa(size-1) + "/" + itoa(size)},
		"the last bytes":         {"Range", "bytes=-10", 206, whole.Body[size-10:], "bytes " + itoa(size-10) + "-" + itoa(size-1) + "/" + itoa(size)},
		"behind the end":         {"Range", "bytes=" + itoa(size) + "-", 416, "invalid range: failed to overlap", "bytes */" + itoa(size)},
		"unless I have it":       {"If-None-Match", tag, 304, "", ""},
		"unless I have another":  {"If-None-Match", `"x"`, 200, whole.Body, ""},
		"only if it is this one": {"If-Match", `"x"`, 412, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.Do(t, testsuite.Request{Path: path, Header: http.Header{tt.header: {tt.value}}})
			if a.Status != tt.status || strings.TrimSpace(a.Body) != strings.TrimSpace(tt.body) || a.Header.Get("Content-Range") != tt.extent {
				t.Errorf("answer = %d, %d bytes %.40q, Content-Range %q; want %d, %d bytes, %q",
					a.Status, len(a.Body), a.Body, a.Header.Get("Content-Range"), tt.status, len(tt.body), tt.extent)
			}
		})
	}
	t.Run("two ranges", func(t *testing.T) {
		a := p.Do(t, testsuite.Request{Path: path, Header: http.Header{"Range": {"bytes=0-9,100-109"}}})
		if a.Status != 206 || !strings.HasPrefix(a.Header.Get("Content-Type"), "multipart/byteranges") ||
			!strings.Contains(a.Body, whole.Body[:10]) || !strings.Contains(a.Body, whole.Body[100:110]) {
			t.Errorf("answer = %d %v", a.Status, a.Header)
		}
	})
	t.Run("only described", func(t *testing.T) {
		a := p.Do(t, testsuite.Request{Method: http.MethodHead, Path: path})
		if a.Status != 200 || a.Body != "" || a.Header.Get("Content-Length") != itoa(size) || a.Header.Get("ETag") != tag {
			t.Errorf("HEAD = %d %v %q", a.Status, a.Header, a.Body)
		}
	})
}
