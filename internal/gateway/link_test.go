package gateway_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/apitest"
	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
	"mp3converter/internal/link"
)

// keyOf is the key of a LINK_SECRET.
func keyOf(t *testing.T, secrets string) link.Key {
	t.Helper()
	k, err := link.NewKey(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const (
	linkSecret = "the secret of the links is of 32 bytes"
	newSecret  = "another secret of the links; just as long"
)

func withLinks(secrets string) func(*rig, *gateway.Config) {
	return func(r *rig, c *gateway.Config) { c.Links = keyOf(r.T, secrets) }
}

// soon is when most links end.
func soon() time.Time { return time.Now().Add(time.Hour) }

func (r *rig) follow(query string, header http.Header) answer {
	r.Helper()
	return r.do(request{path: "/download?" + query, token: "-", header: header})
}

func TestALinkDownloadsWithoutALogin(t *testing.T) {
	t.Parallel()
	r := start(t, withLinks(linkSecret))
	r.setAuth(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("auth was asked about a link")
		w.WriteHeader(http.StatusForbidden)
	})
	content := string(noise(600_000))
	done := r.insertDone(sid, "\u00dcberfahrt \"2. Tag\".mp4", content)
	query := keyOf(t, linkSecret).Query(done.MP3, sid, soon())

	whole := r.follow(query, nil)
	r.want(whole, 200, content)
	for name, want := range map[string]string{
		"Content-Type":        "audio/mpeg",
		"Content-Disposition": "attachment; filename*=utf-8''%C3%9Cberfahrt%20%222.%20Tag%22.mp3",
		"Content-Length":      "600000",
		"Accept-Ranges":       "bytes",
		"Cache-Control":       "no-store",
		"Referrer-Policy":     "no-referrer",
	} {
		if got := whole.header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	etag := whole.header.Get("Etag")
	part := r.follow(query, http.Header{"Range": {"bytes=100-199"}, "If-Range": {etag}})
	r.want(part, http.StatusPartialContent, content[100:200])
	r.want(r.follow(query, http.Header{"If-None-Match": {etag}}), http.StatusNotModified, "")
	r.want(r.follow(query, http.Header{"Range": {"bytes=900000-"}}), http.StatusRequestedRangeNotSatisfiable, "invalid range: failed to overlap\n")
	head := r.do(request{method: http.MethodHead, path: "/download?" + query, token: "-"})
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != "600000" || head.header.Get("Etag") != etag {
		t.Errorf("HEAD = %d %q %v", head.status, head.body, head.header)
	}
}

// insertDone stores an MP3 and the job that has it.
func (r *rig) insertDone(owner, name, content string) job.Job {
	r.Helper()
	id, mp3 := job.NewID(time.Now()), job.NewID(time.Now())
	j := job.Adopt(time.Now(), r.rules, job.Message{Video: id, MP3: mp3, Username: owner}, job.File{Name: name})
	r.put(r.mp3s, mp3, content)
	return r.insert(j)
}

func TestWhatALinkIsNot(t *testing.T) {
	t.Parallel()
	r := start(t, withLinks(newSecret+","+linkSecret))
	k := keyOf(t, linkSecret)
	mine, annes := r.insertDone(sid, "a.mp4", "sound"), r.insertDone(ann, "a.mp4", "ann's sound")
	deleted := r.insertDone(sid, "a.mp4", "sound")
	old := k.Query(deleted.MP3, sid, soon())
	r.want(r.follow(old, nil), 200, "sound")
	r.update(deleted.ID, func(j *job.Job) error { return j.Delete(time.Now()) })
	waiting := r.upload("video")
	lost := r.claim(waiting.ID)
	r.put(r.mp3s, lost, "sound of a lost attempt")
	good := k.Query(mine.MP3, sid, soon())
	signature := good[strings.LastIndex(good, "=")+1:]

	const invalid, expired, none = "this link is not valid", "this link has expired: log in", "no such file"
	for name, tt := range map[string]struct {
		query  string
		status int
		body   string
	}{
		"good":                             {good, 200, "sound"},
		"under the new secret":             {keyOf(t, newSecret).Query(mine.MP3, sid, soon()), 200, "sound"},
		"with a mailer's parameters":       {good + "&" + apitest.Stray + "=x", 200, "sound"},
		"under a secret that is gone":      {keyOf(t, strings.Repeat("x", 32)).Query(mine.MP3, sid, soon()), 403, invalid},
		"expired":                          {k.Query(mine.MP3, sid, time.Now().Add(-time.Second)), 410, expired},
		"expired, and of a deleted job":    {k.Query(deleted.MP3, sid, time.Now().Add(-time.Second)), 410, expired},
		"another fid":                      {strings.Replace(good, mine.MP3, annes.MP3, 1), 403, invalid},
		"the job's id":                     {strings.Replace(good, mine.MP3, mine.ID, 1), 403, invalid},
		"a later end":                      {strings.Replace(good, "expires=", "expires=9", 1), 403, invalid},
		"no end":                           {"fid=" + mine.MP3 + "&signature=" + signature, 403, invalid},
		"no fid":                           {"signature=" + signature, 403, invalid},
		"two fids":                         {good + "&fid=" + annes.MP3, 403, invalid},
		"an empty signature":               {"fid=" + mine.MP3 + "&signature=", 403, invalid},
		"another letter":                   {good[:len(good)-1] + string(good[len(good)-1]^1), 403, invalid},
		"for somebody who has it not":      {k.Query(mine.MP3, ann, soon()), 404, none},
		"for the job's id":                 {k.Query(mine.ID, sid, soon()), 404, none},
		"for an unknown mp3":               {k.Query(job.NewID(time.Now()), sid, soon()), 404, none},
		"for a deleted job":                {old, 404, none},
		"for an attempt that did not last": {k.Query(lost, sid, soon()), 404, none},
		"no signature at all":              {"fid=" + mine.MP3 + "&expires=1", 401, "missing credentials"},
		"a name in capitals":               {strings.Replace(good, "signature", "Signature", 1), 401, "missing credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			a := r.follow(tt.query, nil)
			r.wantProblem(a, tt.status, tt.body)
			if tt.status != 200 && (a.header.Get("Content-Disposition") != "" || a.header.Get("Etag") != "") {
				t.Errorf("the refusal tells of the file: %v", a.header)
			}
			a = r.follow(tt.query, http.Header{"Accept": {"application/json"}})
			if media := a.header.Get("Content-Type"); a.status != tt.status || tt.status != 200 && (media != "application/problem+json" || !strings.Contains(a.body, tt.body)) {
				t.Errorf("who asks for JSON gets %d %s %q", a.status, media, a.body)
			}
		})
	}
	// A header is asked as ever; a session counts where the link does not.
	bad := good + "&signature=x"
	for name, tt := range map[string]struct {
		token  string
		header http.Header
		status int
		body   string
	}{
		"with the owner's token":                  {sid, nil, 200, "sound"},
		"with somebody else's token":              {ann, nil, 404, none},
		"with a bad token":                        {"bad", nil, 403, "not authorized"},
		"with an empty header":                    {"-", http.Header{"Authorization": {""}}, 401, "missing credentials"},
		"in somebody else's session":              {"-", http.Header{"Cookie": {"session=" + ann}}, 200, "sound"},
		"in the owner's session":                  {"-", http.Header{"Cookie": {"session=" + sid}}, 200, "sound"},
		"in a session that has ended":             {"-", http.Header{"Cookie": {"session=bad"}}, 200, "sound"},
		"beside another site's cookie":            {"-", http.Header{"Cookie": {"theme=dark"}}, 200, "sound"},
		"a bad one, in the owner's session":       {"-", http.Header{"Cookie": {"session=" + sid}}, 200, "sound"},
		"a bad one, in somebody else's session":   {"-", http.Header{"Cookie": {"session=" + ann}}, 404, none},
		"a bad one, in a session that has ended":  {"-", http.Header{"Cookie": {"session=bad"}}, 403, "not authorized"},
		"a bad one, beside another site's cookie": {"-", http.Header{"Cookie": {"theme=dark"}}, 403, ""},
	} {
		query := good
		if strings.HasPrefix(name, "a bad one") {
			query = bad
		}
		a := r.do(request{path: "/download?" + query, token: tt.token, header: tt.header})
		if a.status != tt.status || !strings.Contains(a.body, tt.body) {
			t.Errorf("%s: %d %q, want %d %q", name, a.status, a.body, tt.status, tt.body)
		}
	}
	// Nothing else is reached by a link.
	q, err := url.ParseQuery(good)
	r.must(err)
	for _, path := range []string{"/jobs", "/jobs/" + mine.ID} {
		if a := r.do(request{path: path + "?" + q.Encode(), token: "-"}); a.status != 401 {
			t.Errorf("%s by a link: %d %q", path, a.status, a.body)
		}
	}
}

func TestWithoutAKeyNothingIsALink(t *testing.T) {
	t.Parallel()
	r := start(t)
	done := r.insertDone(sid, "a.mp4", "sound")
	a := r.follow(keyOf(t, linkSecret).Query(done.MP3, sid, soon()), nil)
	r.want(a, 401, "missing credentials")
}

func TestNobodyIsAskedAboutAForgedLink(t *testing.T) {
	t.Parallel()
	r := start(t, withLinks(linkSecret), func(r *rig, cfg *gateway.Config) {
		cfg.Ledger = ledger{r.ledger, func(op string, _ func() error) error {
			r.Errorf("the ledger was asked: %s", op)
			return errDown
		}}
	})
	for _, query := range []string{
		keyOf(t, newSecret).Query(job.NewID(time.Now()), sid, soon()), "fid=x&expires=1&signature=" + strings.Repeat("A", 64), "signature=x",
		keyOf(t, linkSecret).Query(job.NewID(time.Now()), sid, time.Now().Add(-time.Second)),
	} {
		if a := r.follow(query, nil); a.status != 403 && a.status != 410 {
			t.Errorf("%s: %d %q", query, a.status, a.body)
		}
	}
}

// lines is a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func TestALinkIsInNoLog(t *testing.T) {
	t.Parallel()
	var log lines
	r := start(t, withLinks(linkSecret), func(_ *rig, c *gateway.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	done := r.insertDone(sid, "a.mp4", "sound")
	good, bad := keyOf(t, linkSecret).Query(done.MP3, sid, soon()), keyOf(t, newSecret).Query(done.MP3, sid, soon())
	r.want(r.follow(good, nil), 200, "sound")
	r.follow(bad, nil)
	r.follow(good, http.Header{"Authorization": {"Bearer bad"}})
	r.eventually("three requests in the log", func() bool { return strings.Count(log.text(), "msg=request") == 3 })
	if text := log.text(); strings.Contains(text, "signature") || strings.Contains(text, good[len(good)-20:]) {
		t.Errorf("the log:\n%s", text)
	}
}
