package gateway_test

import (
	"mime"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mp3converter/internal/job"
)

// asBrowser is what a browser says when it is to show what it gets.
var asBrowser = http.Header{"Accept": {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}}

// visit gets a page as a browser does, with sid's session.
func (r *rig) visit(path string) answer {
	r.Helper()
	return r.do(request{path: path, cookie: mySession, header: asBrowser.Clone()})
}

// isPage fails the test unless the answer is a page under the page's policy that says so.
func (r *rig) isPage(a answer, status int, says string) {
	r.Helper()
	if a.status != status || a.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(a.body, says) {
		r.Errorf("answer = %d %s %s, want %d with a page that says %q", a.status, a.header.Get("Content-Type"), a.body, status, says)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"Referrer-Policy":         "same-origin", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got := a.header.Get(name); got != want {
			r.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestThePageListsOnesOwnJobs(t *testing.T) {
	t.Parallel()
	r := start(t)
	mine := r.upload("video")
	done := r.convert(r.upload("video").ID, "sound")
	deleted := r.upload("video")
	r.want(r.do(request{method: http.MethodDelete, path: "/jobs/" + deleted.ID}), http.StatusNoContent, "")
	hers := r.do(request{path: "/upload", token: ann, form: []part{{"file", "vid_1.mp4", "video"}}})
	r.want(hers, http.StatusOK, "success!")
	a := r.visit("/")
	r.isPage(a, http.StatusOK, "Log out")
	for id, want := range map[string]bool{mine.ID: true, done.ID: true, deleted.ID: false, strings.TrimPrefix(hers.header.Get("Location"), "/jobs/"): false} {
		if got := strings.Contains(a.body, `id="job-`+id+`"`); got != want {
			t.Errorf("job %s is on the page: %v, want %v", id, got, want)
		}
	}
	if !strings.Contains(a.body, `src="/download?fid=`+done.MP3+`"`) {
		t.Error("the MP3 cannot be heard")
	}
	one := r.visit("/?job=" + done.ID)
	r.isPage(one, http.StatusOK, `id="job-`+done.ID)
	if strings.Contains(one.body, mine.ID) {
		t.Error("the page of one job has another one's")
	}
	for _, id := range []string{deleted.ID, "nothing", strings.TrimPrefix(hers.header.Get("Location"), "/jobs/")} {
		if a := r.visit("/?job=" + id); a.status != http.StatusOK || strings.Contains(a.body, `id="job-`) {
			t.Errorf("the page of %s = %d %s", id, a.status, a.body)
		}
	}
}

func TestThePageGoesOnWithOlderJobs(t *testing.T) {
	t.Parallel()
	r := start(t)
	const rows = 25
	var jobs []job.Job
	for range rows + 2 {
		jobs = append(jobs, r.upload("video"))
	}
	newest := r.visit("/")
	if n := strings.Count(newest.body, `id="job-`); n != rows {
		t.Errorf("%d jobs are listed, want %d", n, rows)
	}
	last := jobs[2].ID
	r.isPage(newest, http.StatusOK, `href="/?before=`+last+`"`)
	older := r.visit("/?before=" + last)
	r.isPage(older, http.StatusOK, `id="job-`+jobs[0].ID)
	if n := strings.Count(older.body, `id="job-`); n != 2 || strings.Contains(older.body, "?before=") {
		t.Errorf("%d older jobs are listed, want 2 and nothing beyond", n)
	}
	r.isPage(r.visit("/?before=nothing"), http.StatusBadRequest, "That did not work")
}

func TestThePageSearches(t *testing.T) {
	t.Parallel()
	r := start(t)
	named := func(name string) job.Job {
		t.Helper()
		a := r.do(request{path: "/upload", form: []part{{"file", name, "video"}}})
		r.want(a, http.StatusOK, "success!")
		return r.job(strings.TrimPrefix(a.header.Get("Location"), "/jobs/"))
	}
	done, failed, open := r.convert(named("Holiday 1.mp4").ID, "sound").ID, r.fail(named("holiday & 2.mp4").ID).ID, named("Talk.mp4").ID
	for query, want := range map[string][]string{
		"":                                 {done, failed, open},
		"?q=&show=":                        {done, failed, open},
		"?q=HOLIDAY":                       {done, failed},
		"?q=holiday+%26":                   {failed},
		"?q=%25":                           nil,
		"?show=ready":                      {done},
		"?show=failed":                     {failed},
		"?show=open":                       {open},
		"?show=open&q=holiday":             nil,
		"?q=holiday&before=" + failed:      {done},
		"?show=failed&before=" + done:      nil,
		"?show=ready&q=day&before=" + open: {done},
	} {
		a := r.visit("/" + query)
		r.isPage(a, http.StatusOK, "Your MP3s")
		for _, id := range []string{done, failed, open} {
			if got := strings.Contains(a.body, `id="job-`+id+`"`); got != slices.Contains(want, id) {
				t.Errorf("%s: job %s is listed: %v", query, r.job(id).Name, got)
			}
		}
		if nothing := strings.Contains(a.body, `id="empty">`) && strings.Contains(a.body, "Nothing found"); nothing != (want == nil && !strings.Contains(query, "before")) {
			t.Errorf("%s says that nothing is found: %v", query, nothing)
		}
	}
	for query, says := range map[string]string{
		"show=done": "Show must be open, ready or failed.", "show=open&show=ready": "Show must be open", "q=%00": "Q must be one part", "q=%ff": "Q must be", "q=a&q=b": "Q must be",
	} {
		r.isPage(r.visit("/?"+query), http.StatusBadRequest, says)
	}
}

func TestASearchGoesOnWithOlderJobs(t *testing.T) {
	t.Parallel()
	r := start(t)
	const rows = 25
	var failed []job.Job
	for range rows + 1 {
		failed = append(failed, r.fail(r.upload("video").ID))
		r.upload("video")
	}
	newest := r.visit("/?q=vid_1&show=failed")
	r.isPage(newest, http.StatusOK, `href="/?before=`+failed[1].ID+`&amp;q=vid_1&amp;show=failed"`)
	if n := strings.Count(newest.body, `id="job-`); n != rows {
		t.Errorf("%d jobs are listed, want %d", n, rows)
	}
	older := r.visit("/?q=vid_1&show=failed&before=" + failed[1].ID)
	r.isPage(older, http.StatusOK, `href="/?q=vid_1&amp;show=failed">Back to the newest`)
	if !strings.Contains(older.body, failed[0].ID) || strings.Count(older.body, `id="job-`) != 1 {
		t.Error("the older one is not all that is listed")
	}
}

func TestWhoeverIsNotLoggedInIsAskedTo(t *testing.T) {
	t.Parallel()
	r := start(t)
	for name, tt := range map[string]struct {
		path, cookie string
		status       int
		says         string
	}{
		"a first visit":          {"/", "", http.StatusOK, "<h1>Log in</h1>"},
		"a session that is over": {"/", "session=old", http.StatusOK, "You were logged out."},
		"a guest":                {"/", "session=guest:" + ann, http.StatusOK, "This account may not convert yet: ask who runs this service."},
		"a link to an MP3":       {"/download?fid=" + strings.Repeat("0", 24), "", http.StatusUnauthorized, "Please log in first."},
	} {
		t.Run(name, func(t *testing.T) {
			r.in(t).isPage(r.do(request{path: tt.path, token: "-", cookie: tt.cookie, header: asBrowser.Clone()}), tt.status, tt.says)
		})
	}
}

func TestABrowserIsToldInAPageWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.isPage(r.do(loginForm(sid, "wrong", "Accept", "text/html")), http.StatusUnauthorized, "do not belong together")
	r.isPage(r.do(loginForm(sid, "guest", "Accept", "text/html")), http.StatusUnauthorized, "This account may not convert yet")
	r.isPage(r.do(loginForm(sid, "sid123", "Accept", "text/html", "Origin", "https://evil.example")), http.StatusForbidden, "another site")
	r.isPage(r.visit("/nothing"), http.StatusNotFound, "Not found.")
	r.isPage(r.visit("/download?fid="+strings.Repeat("0", 24)), http.StatusNotFound, "No such file.")
	r.authServer.Close()
	away := r.visit("/")
	r.isPage(away, http.StatusServiceUnavailable, "Service unavailable, try again later.")
	if away.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	r.want(r.do(request{path: "/nothing", header: http.Header{"Accept": {"*/*"}}}), http.StatusNotFound, "not found")
}

func TestAnMP3IsSavedUnderTheNameOfItsVideo(t *testing.T) {
	t.Parallel()
	r := start(t)
	a := r.do(request{path: "/upload", form: []part{{"file", "Überfahrt, 2. Tag.mp4", "video"}}})
	r.want(a, http.StatusOK, "success!")
	j := r.convert(strings.TrimPrefix(a.header.Get("Location"), "/jobs/"), "sound")
	saved := r.do(request{path: "/download?fid=" + j.MP3 + "&save"})
	r.want(saved, http.StatusOK, "sound")
	kind, parameters, err := mime.ParseMediaType(saved.header.Get("Content-Disposition"))
	r.must(err)
	if kind != "attachment" || parameters["filename"] != "Überfahrt, 2. Tag.mp3" {
		t.Errorf("Content-Disposition = %q", saved.header.Get("Content-Disposition"))
	}
}

// A form of the page is one of a browser that says so; any other client is answered as it was before there was a page.
func TestThePagesFormsLeadBackToIt(t *testing.T) {
	t.Parallel()
	r := start(t)
	failed, deleted := r.fail(r.upload("video").ID), r.upload("video")
	for name, q := range map[string]request{
		"upload": {path: "/upload", form: []part{{"file", "vid_1.mp4", "video"}}},
		"retry":  {method: http.MethodPost, path: "/jobs/" + failed.ID + "/retry"},
		"delete": {method: http.MethodPost, path: "/jobs/" + deleted.ID + "/delete"},
	} {
		q.cookie, q.header = mySession, asBrowser.Clone()
		if a := r.do(q); a.status != http.StatusSeeOther || a.header.Get("Location") != "/" {
			t.Errorf("%s = %d %q, to %q", name, a.status, a.body, a.header.Get("Location"))
		}
	}
	if state := r.job(failed.ID).State; state != job.Queued {
		t.Errorf("the job is %s after the retry", state)
	}
	r.want(r.do(request{path: "/jobs/" + deleted.ID}), http.StatusNotFound, "no such job")
	r.want(r.do(request{method: http.MethodPost, path: "/jobs/" + failed.ID + "/delete"}), http.StatusNoContent, "")
	withToken := r.do(request{path: "/upload", form: file("video"), header: asBrowser.Clone()})
	r.want(withToken, http.StatusOK, "success!")
	r.want(r.do(request{path: "/upload", token: "nobody", form: file("video"), header: asBrowser.Clone()}), http.StatusForbidden, "not authorized")
	r.want(r.do(request{path: "/download?fid=", header: asBrowser.Clone()}), http.StatusBadRequest, "fid is required")
}

func TestThePagesFilesAreKeptByBrowsersForGood(t *testing.T) {
	t.Parallel()
	r := start(t)
	_, after, _ := strings.Cut(r.visit("/").body, `href="/static/`)
	version, _, _ := strings.Cut(after, "/")
	for path, want := range map[string][2]string{
		"/static/" + version + "/style.css": {"text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		"/static/" + version + "/icon.svg":  {"image/svg+xml", "public, max-age=31536000, immutable"},
		"/static/another/style.css":         {"text/css; charset=utf-8", "no-store"},
	} {
		a := r.do(request{path: path, token: "-"})
		if a.status != http.StatusOK || a.header.Get("Content-Type") != want[0] || a.header.Get("Cache-Control") != want[1] {
			t.Errorf("%s = %d %v", path, a.status, a.header)
		}
	}
	for _, path := range []string{"/static/", "/static/" + version, "/static/" + version + "/", "/static/" + version + "/none.js", "/static/" + version + "/..%2fpage.go"} {
		if a := r.do(request{path: path, token: "-"}); a.status != http.StatusNotFound {
			t.Errorf("%s = %d %.100q, want 404", path, a.status, a.body)
		}
	}
}
