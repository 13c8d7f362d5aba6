package gateway_test

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mp3converter/internal/apitest"
	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

func TestDownloads(t *testing.T) {
	t.Parallel()
	r := start(t)
	done := r.convert(r.upload("video").ID, "sound")
	waiting, failed := r.upload("video"), r.fail(r.upload("video").ID)
	deleted := r.convert(r.upload("video").ID, "sound")
	r.update(deleted.ID, func(j *job.Job) error { return j.Delete(time.Now()) })
	lost := r.claim(waiting.ID) // an attempt that has stored its MP3 and not committed it
	r.put(r.mp3s, lost, "sound of a lost attempt")

	foreign := job.NewID(time.Now()) // stored by the original, whose message became a job
	adopted := r.insert(job.Adopt(time.Now(), r.rules, job.Message{Video: job.NewID(time.Now()), MP3: foreign, Username: sid}, job.File{}))
	_, err := r.mp3s.Put(t.Context(), job.File{ID: foreign}, strings.NewReader("foreign sound"))
	r.must(err)

	for name, tt := range map[string]struct {
		query, token string
		status       int
		body         string
	}{
		"the mp3's id":                 {"?fid=" + done.MP3, sid, 200, "sound"},
		"the video's id":               {"?fid=" + done.ID, sid, 200, "sound"},
		"a foreign mp3":                {"?fid=" + foreign, sid, 200, "foreign sound"},
		"a foreign mp3's video":        {"?fid=" + adopted.ID, sid, 200, "foreign sound"},
		"beside another parameter":     {"?" + apitest.Stray + "=b&fid=" + done.MP3, sid, 200, "sound"},
		"no fid":                       {"", sid, 400, "fid is required"},
		"an empty fid":                 {"?fid=", sid, 400, "fid is required"},
		"a fid that does not decode":   {"?fid=%zz", sid, 400, "fid is required"},
		"a fid in brackets":            {"?fid[$gt]=", sid, 400, "fid is required"},
		"23 digits":                    {"?fid=" + done.MP3[1:], sid, 400, "fid must be"},
		"25 digits":                    {"?fid=0" + done.MP3, sid, 400, "fid must be"},
		"upper case":                   {"?fid=ABCDEF0123456789ABCDEF01", sid, 400, "fid must be"},
		"a path":                       {"?fid=../../../../../etc/passwd", sid, 400, "fid must be"},
		"an operator":                  {"?fid={\"$ne\":null}", sid, 400, "fid must be"},
		"a NUL byte":                   {"?fid=" + done.MP3 + "%00", sid, 400, "fid must be"},
		"a line end":                   {"?fid=" + done.MP3 + "%0d%0aX:y", sid, 400, "fid must be"},
		"two fids":                     {"?fid=" + done.MP3 + "&fid=" + done.MP3, sid, 400, "fid must be"},
		"an unknown fid":               {"?fid=" + job.NewID(time.Now()), sid, 404, "no such file"},
		"somebody else's mp3":          {"?fid=" + done.MP3, ann, 404, "no such file"},
		"somebody else's video":        {"?fid=" + done.ID, ann, 404, "no such file"},
		"somebody else's foreign mp3":  {"?fid=" + foreign, ann, 404, "no such file"},
		"a job that is not converted":  {"?fid=" + waiting.ID, sid, 404, "no such file"},
		"a job that has failed":        {"?fid=" + failed.ID, sid, 404, "no such file"},
		"a deleted job":                {"?fid=" + deleted.ID, sid, 404, "no such file"},
		"a deleted job's mp3":          {"?fid=" + deleted.MP3, sid, 404, "no such file"},
		"an attempt that did not last": {"?fid=" + lost, sid, 404, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			q := request{path: "/download" + strings.ReplaceAll(tt.query, `"`, "%22"), token: tt.token}
			a := r.do(q)
			r.wantProblem(a, tt.status, tt.body)
			if tt.status == 200 {
				fid := tt.query[strings.Index(tt.query, "fid=")+4:]
				r.wantHeader(a, fid, len(tt.body))
			}
			q.method = http.MethodHead
			head := r.do(q)
			if head.status != a.status || head.body != "" || head.header.Get("Content-Length") != a.header.Get("Content-Length") {
				t.Errorf("HEAD = %d %q %v", head.status, head.body, head.header)
			}
		})
	}
}

func (r *rig) wantHeader(a answer, fid string, size int) {
	r.Helper()
	for name, want := range map[string]string{
		"Content-Type":        "audio/mpeg",
		"Content-Disposition": "inline; filename=" + fid + ".mp3",
		"Content-Length":      fmt.Sprint(size),
		"Accept-Ranges":       "bytes",
	} {
		if got := a.header.Get(name); got != want {
			r.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"Etag", "Last-Modified"} {
		if a.header.Get(name) == "" {
			r.Errorf("no %s", name)
		}
	}
}

func TestSomebodyElsesFileAnswersAsAnUnknownOneDoes(t *testing.T) {
	t.Parallel()
	r := start(t)
	done := r.convert(r.upload("video").ID, "sound")
	ask := func(fid string) answer {
		a := r.do(request{path: "/download?fid=" + fid, token: ann})
		a.header.Del("Date")
		a.header.Del("X-Request-Id")
		return a
	}
	want := ask(job.NewID(time.Now()))
	for _, fid := range []string{done.ID, done.MP3} {
		if got := ask(fid); got.status != want.status || got.body != want.body || !cmp.Equal(got.header, want.header) {
			t.Errorf("answer = %v, of an unknown one %v", got, want)
		}
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	r := start(t)
	content := string(noise(600_000))
	done := r.convert(r.upload("video").ID, content)
	full := r.do(request{path: "/download?fid=" + done.MP3})
	r.want(full, 200, content)
	etag, modified := full.header.Get("Etag"), full.header.Get("Last-Modified")

	for name, tt := range map[string]struct {
		header   map[string]string
		status   int
		from, to int // of one range, to not included; 0, 0 is no body
	}{
		"the first ten":              {map[string]string{"Range": "bytes=0-9"}, 206, 0, 10},
		"the last five":              {map[string]string{"Range": "bytes=-5"}, 206, 599_995, 600_000},
		"the rest":                   {map[string]string{"Range": "bytes=261120-"}, 206, 261_120, 600_000},
		"more than there is":         {map[string]string{"Range": "bytes=599999-700000"}, 206, 599_999, 600_000},
		"beyond the end":             {map[string]string{"Range": "bytes=600000-"}, 416, 0, 0},
		"backwards":                  {map[string]string{"Range": "bytes=9-0"}, 416, 0, 0},
		"no numbers":                 {map[string]string{"Range": "bytes=a-b"}, 416, 0, 0},
		"negative":                   {map[string]string{"Range": "bytes=--5"}, 416, 0, 0},
		"other units":                {map[string]string{"Range": "lines=0-9"}, 200, 0, 600_000},
		"a thousand ranges":          {map[string]string{"Range": "bytes=" + strings.Repeat("0-0,", 999) + "0-0"}, 416, 0, 0},
		"overlapping beyond the sum": {map[string]string{"Range": "bytes=0-,0-,0-"}, 200, 0, 600_000},
		"the client has it":          {map[string]string{"If-None-Match": etag}, 304, 0, 0},
		"the client has another":     {map[string]string{"If-None-Match": `"x"`}, 200, 0, 600_000},
		"not modified since":         {map[string]string{"If-Modified-Since": modified}, 304, 0, 0},
		"resuming the same":          {map[string]string{"Range": "bytes=5-", "If-Range": etag}, 206, 5, 600_000},
		"resuming another":           {map[string]string{"Range": "bytes=5-", "If-Range": `"x"`}, 200, 0, 600_000},
		"only if it is another":      {map[string]string{"If-Match": `"x"`}, 412, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			for k, v := range tt.header {
				h.Set(k, v)
			}
			a := r.in(t).do(request{path: "/download?fid=" + done.MP3, header: h})
			if a.status != tt.status || a.err != nil {
				t.Fatalf("status = %d (%v), want %d", a.status, a.err, tt.status)
			}
			if tt.to > 0 && a.body != content[tt.from:tt.to] {
				t.Errorf("%d bytes came, not those from %d to %d", len(a.body), tt.from, tt.to)
			}
			wantRange := ""
			if tt.status == 206 {
				wantRange = fmt.Sprintf("bytes %d-%d/600000", tt.from, tt.to-1)
			}
			if got := a.header.Get("Content-Range"); got != wantRange && tt.status != 416 { // RFC 9110 wants it of no syntax error
				t.Errorf("Content-Range = %q, want %q", got, wantRange)
			}
		})
	}
}

func TestSeveralRanges(t *testing.T) {
	t.Parallel()
	r := start(t)
	content := string(noise(600_000))
	done := r.convert(r.upload("video").ID, content)
	a := r.do(request{path: "/download?fid=" + done.MP3, header: http.Header{"Range": {"bytes=0-9,300000-300004,-1"}}})
	media, params, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if a.status != 206 || media != "multipart/byteranges" || err != nil {
		t.Fatalf("answer = %d %s", a.status, media)
	}
	parts := multipart.NewReader(strings.NewReader(a.body), params["boundary"])
	for _, want := range []string{content[:10], content[300_000:300_005], content[599_999:]} {
		p, err := parts.NextPart()
		r.must(err)
		got, err := io.ReadAll(p)
		r.must(err)
		if string(got) != want || p.Header.Get("Content-Type") != "audio/mpeg" {
			t.Errorf("part %v = %q, want %q", p.Header, got, want)
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("more parts: %v", err)
	}
}

func TestAStoreThatDiesMidwayBreaksTheDownload(t *testing.T) {
	t.Parallel()
	content := string(noise(600_000))
	for name, tt := range map[string]struct {
		ask   string
		after int64
	}{
		"after a byte":      {"", 1},
		"in the middle":     {"", 300_000},
		"at the last byte":  {"", 599_999},
		"in a range":        {"bytes=100-500000", 300_000},
		"in several ranges": {"bytes=0-9,100-500000", 300_000},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			var log logged
			r := start(t, func(r *rig, cfg *gateway.Config) {
				cfg.MP3s, cfg.Log = dying{cfg.MP3s, tt.after, ended}, slog.New(slog.NewTextHandler(&log, nil))
			})
			done := r.convert(r.upload("video").ID, content)
			h := http.Header{}
			if tt.ask != "" {
				h.Set("Range", tt.ask)
			}
			a, err := r.try(request{path: "/download?fid=" + done.MP3, header: h})
			if err == nil && a.err == nil {
				t.Errorf("a clean answer: %d with %d bytes, header %v", a.status, len(a.body), a.header)
			}
			<-ended
			r.eventually("the log says why", func() bool { return strings.Contains(log.String(), errDown.Error()) })
		})
	}
}

func TestAStoreThatDiesBeforeTheFirstByteIsAnswered(t *testing.T) {
	t.Parallel()
	for _, ask := range []string{"", "bytes=100-500000"} {
		r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.MP3s = dying{cfg.MP3s, 0, make(chan struct{})} })
		done := r.convert(r.upload("video").ID, string(noise(600_000)))
		h := http.Header{}
		if ask != "" {
			h.Set("Range", ask)
		}
		a := r.do(request{path: "/download?fid=" + done.MP3, header: h})
		r.want(a, 503, "service unavailable, try again later")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("range %q: no Retry-After: %v", ask, a.header)
		}
		for _, name := range []string{"Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Last-Modified"} {
			if v := a.header.Get(name); v != "" {
				t.Errorf("range %q: the refusal says %s: %s", ask, name, v)
			}
		}
	}
}

// logged is a log that can be read while it is written.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAFileThatIsGoneInSpiteOfItsJob(t *testing.T) {
	t.Parallel()
	r := start(t)
	done := r.convert(r.upload("video").ID, "sound")
	r.must(r.mp3s.Delete(t.Context(), done.MP3))
	r.want(r.do(request{path: "/download?fid=" + done.MP3}), 404, "no such file")
}

func TestAReaderThatTakesNothingIsCutOff(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	r := start(t, func(r *rig, cfg *gateway.Config) {
		cfg.Stall, cfg.MP3s = 100*time.Millisecond, dying{cfg.MP3s, 1 << 40, ended}
	})
	done := r.convert(r.insert(r.queued()).ID, strings.Repeat("s", 30*mega)) // more than any socket buffers
	c := r.dial()
	_, err := fmt.Fprintf(c, "GET /download?fid=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", done.MP3, sid)
	r.must(err)
	select {
	case <-ended:
	case <-time.After(wait):
		t.Error("the file is still open")
	}
}

// noise is n bytes of which no two stretches are alike.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // never fails
	return b
}
