package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
)

// tus sends a request of the protocol; headers alternate names and values.
func (r *rig) tus(method, path, token string, body io.Reader, headers ...string) (answer, error) {
	r.Helper()
	h := http.Header{"Tus-Resumable": {"1.0.0"}}
	if body != nil {
		h.Set("Content-Type", "application/offset+octet-stream")
	}
	for i := 0; i < len(headers); i += 2 {
		if h.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			h.Del(headers[i])
		}
	}
	return r.try(request{method: method, path: path, token: token, header: h, body: body})
}

func meta(name, profile string) string {
	b64 := base64.StdEncoding.EncodeToString
	return "filename " + b64([]byte(name)) + ",profile " + b64([]byte(profile)) + ",is_confidential"
}

// begin makes an upload of so many bytes and returns its path.
func (r *rig) begin(size int) string {
	r.Helper()
	a, err := r.tus(http.MethodPost, "/uploads/", "", nil, "Upload-Length", fmt.Sprint(size), "Upload-Metadata", meta("clip.mov", "voice"))
	r.must(err)
	r.want(a, http.StatusCreated, "")
	path := a.header.Get("Location")
	if id, ok := strings.CutPrefix(path, "/uploads/"); !ok || !job.IsID(id) {
		r.Fatalf("Location = %q", path)
	}
	return path
}

// patch adds to it.
func (r *rig) patch(path string, offset int, body io.Reader) (answer, error) {
	r.Helper()
	return r.tus(http.MethodPatch, path, "", body, "Upload-Offset", strconv.Itoa(offset))
}

// add adds what must get through.
func (r *rig) add(path string, offset int, content []byte) answer {
	r.Helper()
	a, err := r.patch(path, offset, bytes.NewReader(content))
	r.must(err)
	r.want(a, http.StatusNoContent, "")
	if got, want := a.header.Get("Upload-Offset"), fmt.Sprint(offset+len(content)); got != want {
		r.Errorf("Upload-Offset = %s, want %s", got, want)
	}
	return a
}

// head asks how far it is.
func (r *rig) head(path string) answer {
	r.Helper()
	a, err := r.tus(http.MethodHead, path, "", nil)
	r.must(err)
	return a
}

func (r *rig) wantOffset(path string, want int) {
	r.Helper()
	if a := r.head(path); a.status != http.StatusOK || a.header.Get("Upload-Offset") != fmt.Sprint(want) {
		r.Errorf("HEAD = %d, Upload-Offset %q, want %d", a.status, a.header.Get("Upload-Offset"), want)
	}
}

func idOf(path string) string { return strings.TrimPrefix(path, "/uploads/") }

// wantQueued checks that the upload has become the job that a plain one becomes, and that it was rung for.
func (r *rig) wantQueued(path string, content []byte) {
	r.Helper()
	plain := r.job(r.uploadBytes(content))
	got := r.job(idOf(path))
	if got.State != job.Queued || got.Arrival != nil || got.VideoBytes != plain.VideoBytes || got.VideoSHA256 != plain.VideoSHA256 ||
		!got.CleanAt.IsZero() || got.Owner != sid || got.Name != "clip.mov" || got.Profile != job.Voice {
		r.Errorf("the job is %+v, of a plain upload %+v", got, plain)
	}
	if n := r.rings(got.ID); n != 1 {
		r.Errorf("rung for %d times", n)
	}
	f, content2, err := r.videos.Open(r.Context(), got.ID)
	r.must(err)
	defer content2.Close()
	stored, err := io.ReadAll(content2)
	r.must(err)
	if !bytes.Equal(stored, content) || f.Job != got.ID || f.Owner != sid || f.Name != "clip.mov" {
		r.Errorf("%d bytes are stored of %d, as %+v", len(stored), len(content), f)
	}
}

func (r *rig) uploadBytes(content []byte) string { r.Helper(); return r.upload(string(content)).ID }

func TestAnUploadMayComeInParts(t *testing.T) {
	r := start(t)
	content := porttest.Bytes(1, 1<<20+5)
	path := r.begin(len(content))
	a := r.head(path)
	for name, want := range map[string]string{
		"Upload-Offset": "0", "Upload-Length": fmt.Sprint(len(content)), "Cache-Control": "no-store", "Tus-Resumable": "1.0.0",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if m := a.header.Get("Upload-Metadata"); !strings.Contains(m, base64.StdEncoding.EncodeToString([]byte("clip.mov"))) {
		t.Errorf("Upload-Metadata = %q", m)
	}
	expires, err := http.ParseTime(a.header.Get("Upload-Expires"))
	if in := time.Until(expires); err != nil || in < r.rules.ResumeFor-time.Minute || in > r.rules.ResumeFor {
		t.Errorf("Upload-Expires = %q, want in %v", a.header.Get("Upload-Expires"), r.rules.ResumeFor)
	}
	r.add(path, 0, content[:300_000])
	r.wantOffset(path, 300_000)
	if list := r.do(request{path: "/jobs"}); strings.Contains(list.body, idOf(path)) {
		t.Error("what is not whole is listed")
	}
	if a := r.do(request{path: "/jobs/" + idOf(path)}); a.status != http.StatusNotFound {
		t.Errorf("what is not whole is shown: %d", a.status)
	}
	r.add(path, 300_000, content[300_000:300_001])
	if a := r.add(path, 300_001, content[300_001:]); a.header.Get("Upload-Expires") != "" {
		t.Errorf("what is whole expires at %s", a.header.Get("Upload-Expires"))
	}
	r.wantQueued(path, content)
	r.wantOffset(path, len(content))
	if a, err := r.patch(path, len(content), strings.NewReader("")); err != nil || a.status != http.StatusNoContent {
		t.Errorf("PATCH of nothing to what is whole = %d, %v", a.status, err)
	}
	r.wantQueued(path, content)
	a, err = r.tus(http.MethodDelete, path, "", nil)
	r.must(err)
	r.wantProblem(a, http.StatusConflict, "whole")
}

func TestAnUploadMayBeginWithItsFirstPart(t *testing.T) {
	r := start(t)
	content := porttest.Bytes(2, 600_000)
	for _, first := range []int{5, len(content)} {
		a, err := r.tus(http.MethodPost, "/uploads/", "", bytes.NewReader(content[:first]),
			"Upload-Length", fmt.Sprint(len(content)), "Upload-Metadata", meta("clip.mov", "voice"))
		r.must(err)
		r.want(a, http.StatusCreated, "")
		if got := a.header.Get("Upload-Offset"); got != fmt.Sprint(first) {
			t.Errorf("Upload-Offset = %s, want %d", got, first)
		}
		path := a.header.Get("Location")
		if first < len(content) {
			r.add(path, first, content[first:])
		}
		r.wantQueued(path, content)
	}
}

func TestWhatTheServerCanDo(t *testing.T) {
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.MaxUpload = 1000 })
	for _, path := range []string{"/uploads/", "/uploads/" + job.NewID(time.Now())} {
		a := r.do(request{method: http.MethodOptions, path: path, token: "-", header: http.Header{"Origin": {"http://elsewhere.example"}}})
		for name, want := range map[string]string{
			"Tus-Resumable": "1.0.0", "Tus-Version": "1.0.0", "Tus-Max-Size": "1000",
			"Tus-Extension": "creation,creation-with-upload,termination,expiration", "Access-Control-Allow-Origin": "",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("OPTIONS %s: %s = %q, want %q", path, name, got, want)
			}
		}
		if a.status != http.StatusOK && a.status != http.StatusNoContent {
			t.Errorf("OPTIONS %s = %d", path, a.status)
		}
	}
}

func TestUploadsThatAreNotBegun(t *testing.T) {
	r := start(t, func(_ *rig, cfg *gateway.Config) {
		cfg.MaxUpload, cfg.QuotaBytes, cfg.MaxUnfinished = 1000, 1500, 2
	})
	for name, tt := range map[string]struct {
		headers []string
		status  int
		text    string
	}{
		"without a length":       {[]string{}, http.StatusBadRequest, "Upload-Length"},
		"of no length":           {[]string{"Upload-Length", "many"}, http.StatusBadRequest, "Upload-Length"},
		"of less than nothing":   {[]string{"Upload-Length", "-1"}, http.StatusBadRequest, "Upload-Length"},
		"of a length to come":    {[]string{"Upload-Defer-Length", "1"}, http.StatusNotImplemented, "not implemented"},
		"empty":                  {[]string{"Upload-Length", "0"}, http.StatusBadRequest, "the file is empty"},
		"too large":              {[]string{"Upload-Length", "1001"}, http.StatusRequestEntityTooLarge, "maximum size exceeded"},
		"of an unknown profile":  {[]string{"Upload-Length", "1", "Upload-Metadata", meta("a", "loud")}, http.StatusBadRequest, "profile"},
		"of no version":          {[]string{"Upload-Length", "1", "Tus-Resumable", ""}, http.StatusPreconditionFailed, "Tus-Resumable"},
		"of an unknown version":  {[]string{"Upload-Length", "1", "Tus-Resumable", "0.2.2"}, http.StatusPreconditionFailed, "Tus-Resumable"},
		"that says another verb": {[]string{"X-HTTP-Method-Override", "DELETE", "Upload-Length", "many"}, http.StatusBadRequest, "Upload-Length"},
	} {
		a, err := r.tus(http.MethodPost, "/uploads/", "", nil, tt.headers...)
		r.must(err)
		if a.status != tt.status || !strings.Contains(a.body, tt.text) || strings.Contains(a.body, "ERR_") {
			t.Errorf("an upload %s: %d %q, want %d with %q", name, a.status, a.body, tt.status, tt.text)
		}
	}
	for token, status := range map[string]int{"-": http.StatusUnauthorized, "nobody": http.StatusForbidden, "guest:" + sid: http.StatusUnauthorized} {
		if a, err := r.tus(http.MethodPost, "/uploads/", token, nil, "Upload-Length", "1"); err != nil || a.status != status {
			t.Errorf("with token %q: %d, %v, want %d", token, a.status, err, status)
		}
	}
	first := r.begin(1000)
	a, err := r.tus(http.MethodPost, "/uploads/", "", nil, "Upload-Length", "501")
	r.must(err)
	r.wantProblem(a, http.StatusRequestEntityTooLarge, "quota")
	r.begin(1)
	a, err = r.tus(http.MethodPost, "/uploads/", "", nil, "Upload-Length", "1")
	r.must(err)
	r.wantProblem(a, http.StatusTooManyRequests, "unfinished")
	a, err = r.tus(http.MethodDelete, first, "", nil)
	r.must(err)
	r.want(a, http.StatusNoContent, "")
	r.begin(501) // there is room again
	if n := r.gauge("gateway_uploads"); n != 0 {
		t.Errorf("%v places are taken", n)
	}
}

func TestPartsThatAreNotTaken(t *testing.T) {
	r := start(t)
	content := []byte("0123456789")
	path := r.begin(len(content))
	r.add(path, 0, content[:4])
	for name, tt := range map[string]struct {
		token   string
		path    string
		body    string
		headers []string
		status  int
	}{
		"before the end":             {"", path, "x", []string{"Upload-Offset", "3"}, http.StatusConflict},
		"behind the end":             {"", path, "x", []string{"Upload-Offset", "5"}, http.StatusConflict},
		"nowhere":                    {"", path, "x", nil, http.StatusBadRequest},
		"too much":                   {"", path, "4567890", []string{"Upload-Offset", "4"}, http.StatusRequestEntityTooLarge},
		"as something else":          {"", path, "x", []string{"Upload-Offset", "4", "Content-Type", "video/mp4"}, http.StatusBadRequest},
		"of somebody else":           {ann, path, "x", []string{"Upload-Offset", "4"}, http.StatusNotFound},
		"of nobody":                  {"-", path, "x", []string{"Upload-Offset", "4"}, http.StatusUnauthorized},
		"to an upload that is not":   {"", "/uploads/" + job.NewID(time.Now()), "x", []string{"Upload-Offset", "0"}, http.StatusNotFound},
		"to no upload":               {"", "/uploads/x", "x", []string{"Upload-Offset", "0"}, http.StatusNotFound},
		"to a path beneath one":      {"", path + "/x", "x", []string{"Upload-Offset", "4"}, http.StatusNotFound},
		"to all":                     {"", "/uploads/", "x", []string{"Upload-Offset", "0"}, http.StatusMethodNotAllowed},
		"of another version of ours": {"", path, "x", []string{"Upload-Offset", "4", "Tus-Resumable", "2.0.0"}, http.StatusPreconditionFailed},
	} {
		a, err := r.tus(http.MethodPatch, tt.path, tt.token, strings.NewReader(tt.body), tt.headers...)
		r.must(err)
		if a.status != tt.status {
			t.Errorf("a part %s: %d %q, want %d", name, a.status, a.body, tt.status)
		}
	}
	for _, method := range []string{http.MethodHead, http.MethodDelete} {
		if a, err := r.tus(method, path, ann, nil); err != nil || a.status != http.StatusNotFound {
			t.Errorf("somebody else's %s: %d, %v", method, a.status, err)
		}
	}
	r.add(path, 4, content[4:])
	r.wantQueued(path, content)
}

func TestABrokenLineKeepsWhatCame(t *testing.T) {
	r := start(t)
	content := porttest.Bytes(3, 900_000)
	path := r.begin(len(content))
	cut := errors.New("the line is cut")
	_, err := r.patch(path, 0, io.MultiReader(bytes.NewReader(content[:700_000]), iotest.ErrReader(cut)))
	if !errors.Is(err, cut) {
		t.Errorf("PATCH = %v", err)
	}
	r.eventually("what came is kept", func() bool { // asked of the ledger: HEAD ends what it finds under way
		j, err := r.ledger.Get(r.Context(), idOf(path))
		return err == nil && j.Arrival.Offset > 0
	})
	at, err := strconv.Atoi(r.head(path).header.Get("Upload-Offset"))
	if err != nil || at == 0 || at > 700_000 {
		t.Fatalf("%d bytes are said to be here, %v", at, err)
	}
	r.add(path, at, content[at:])
	r.wantQueued(path, content)
}

func TestASilentClientIsCutOffAndKeepsWhatCame(t *testing.T) {
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.Stall = 50 * time.Millisecond })
	path := r.begin(100)
	line := r.dial()
	fmt.Fprintf(line, "PATCH %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"+
		"Content-Type: application/offset+octet-stream\r\nContent-Length: 100\r\n\r\n0123456789", path, sid)
	said, err := io.ReadAll(line)
	r.must(err)
	if !strings.HasPrefix(string(said), "HTTP/1.1 408 ") || !strings.HasSuffix(string(said), "the upload stalled") {
		t.Errorf("answer = %q", said)
	}
	r.wantOffset(path, 10)
	if n := r.gauge("gateway_uploads"); n != 0 {
		t.Errorf("%v places are taken", n)
	}
}

// paused is a body that says when it is read, and then nothing more until it is let.
type paused struct {
	first []byte
	read  chan struct{}
	let   chan struct{}
}

func (h *paused) Read(p []byte) (int, error) {
	if len(h.first) > 0 {
		n := copy(p, h.first)
		h.first = h.first[n:]
		return n, nil
	}
	if h.read != nil {
		close(h.read)
		h.read = nil
	}
	<-h.let
	return 0, io.EOF
}

func TestWhoeverComesLaterTakesOver(t *testing.T) {
	r := start(t)
	content := porttest.Bytes(4, 800_000)
	for name, ask := range map[string]bool{"by asking": true, "by going on": false} {
		path := r.begin(len(content))
		old := &paused{first: content[:400_000], read: make(chan struct{}), let: make(chan struct{})}
		reading, told := old.read, make(chan answer, 1)
		go func() {
			a, err := r.tus(http.MethodPatch, path, "", old, "Upload-Offset", "0")
			a.err = err
			told <- a
		}()
		<-reading
		r.eventually("the old one is at work", func() bool {
			j, err := r.ledger.Get(r.Context(), idOf(path))
			return err == nil && j.Arrival.Writer == 1
		})
		at, tries := 0, 0
		r.eventually("the new one gets through", func() bool {
			if tries++; ask || tries > 1 {
				var err error
				at, err = strconv.Atoi(r.head(path).header.Get("Upload-Offset"))
				r.must(err)
			}
			a, err := r.patch(path, at, bytes.NewReader(content[at:]))
			r.must(err)
			return a.status == http.StatusNoContent
		})
		if tries > 2 || ask && tries > 1 {
			t.Errorf("%s: it took %d tries", name, tries)
		}
		close(old.let)
		if a := <-told; a.err == nil && a.status != http.StatusConflict {
			t.Errorf("%s: the old one is told %d %q", name, a.status, a.body)
		}
		r.wantQueued(path, content)
	}
}

// left is what lies under the id among the videos.
func (r *rig) left(id string) []string {
	r.Helper()
	all, err := filepath.Glob(filepath.Join(r.dir, "videos", id+"*"))
	r.must(err)
	within, err := filepath.Glob(filepath.Join(r.dir, "videos", "*", id+"*"))
	r.must(err)
	return append(all, within...)
}

func TestADeadUploadIsSwept(t *testing.T) {
	r := start(t, func(_ *rig, cfg *gateway.Config) {
		cfg.Rules.ResumeFor, cfg.Rules.CleanAfter = 200*time.Millisecond, time.Millisecond
	})
	path := r.begin(500_000)
	r.add(path, 0, make([]byte, 300_000))
	r.eventually("it is gone", func() bool {
		r.must(r.service.SweepOnce(r.Context()))
		return r.head(path).status == http.StatusNotFound
	})
	r.eventually("nothing is left", func() bool {
		r.must(r.service.SweepOnce(r.Context()))
		_, err := r.ledger.Get(r.Context(), idOf(path))
		return err != nil
	})
	if left := r.left(idOf(path)); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestAnUploadThatIsEndedLeavesNothing(t *testing.T) {
	r := start(t)
	path := r.begin(500_000)
	r.add(path, 0, make([]byte, 300_000))
	a, err := r.tus(http.MethodDelete, path, "", nil)
	r.must(err)
	r.want(a, http.StatusNoContent, "")
	if left := r.left(idOf(path)); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	for _, method := range []string{http.MethodHead, http.MethodDelete} {
		if a, err := r.tus(method, path, "", nil); err != nil || a.status != http.StatusNotFound {
			t.Errorf("%s after the end: %d, %v", method, a.status, err)
		}
	}
	if u, err := r.ledger.Usage(r.Context(), sid); err != nil || u != (job.Usage{}) {
		t.Errorf("it still takes %+v, %v", u, err)
	}
}

// Whatever fails after the last byte, and however often, the next who asks is told the truth, and the upload is a job by then.
func TestAFaultAtTheEndIsMadeGoodByWhoeverAsks(t *testing.T) {
	content := porttest.Bytes(5, 100_000) // one piece: between two, a store that is slow has its offset noted once more
	for name, fault := range map[string]around{
		"the file is not made":               instead("complete", 1),
		"the file is made, and nobody knows": after("complete", 1),
		"the job is not queued":              instead("update", 3), // after claim and offset
		"the job is queued, nobody knows":    after("update", 3),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, broken(fault), func(r *rig, cfg *gateway.Config) { cfg.Arrivals = arrivals{r.videos, fault} })
			path := r.begin(len(content))
			a, err := r.patch(path, 0, bytes.NewReader(content))
			r.must(err)
			r.wantProblem(a, http.StatusServiceUnavailable, "try again")
			r.wantOffset(path, len(content))
			if j := r.job(idOf(path)); j.State != job.Queued {
				t.Errorf("told that all is here, the job is %s", j.State)
			}
			if j := r.job(idOf(path)); j.VideoSHA256 != r.job(r.uploadBytes(content)).VideoSHA256 {
				t.Error("the job has another SHA-256")
			}
		})
	}
	for name, fault := range map[string]around{
		"the claim fails":                       instead("update", 1),
		"the offset is not noted":               instead("update", 2),
		"the claim is noted, and nobody knows":  after("update", 1),
		"the offset is noted, and nobody knows": after("update", 2),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, broken(fault))
			path := r.begin(len(content))
			a, err := r.patch(path, 0, bytes.NewReader(content[:60_000]))
			r.must(err)
			r.wantProblem(a, http.StatusServiceUnavailable, "try again")
			at, err := strconv.Atoi(r.head(path).header.Get("Upload-Offset"))
			r.must(err)
			r.add(path, at, content[at:])
			r.wantQueued(path, content)
		})
	}
}

// arrivals is a store with faults.
type arrivals struct {
	gateway.Arrivals
	around around
}

func (s arrivals) Complete(ctx context.Context, f job.File, a job.Arrival) (whole job.File, err error) {
	err = s.around("complete", func() error { whole, err = s.Arrivals.Complete(ctx, f, a); return err })
	return whole, err
}

// A browser has one session: a page that was there before another user's login goes on with that user's.
func TestAnUploadBecomesNobodyElses(t *testing.T) {
	t.Parallel()
	r := start(t)
	of := func(user string) string {
		return meta("a", "voice") + ",user " + base64.StdEncoding.EncodeToString([]byte(user))
	}
	a, err := r.tus(http.MethodPost, "/uploads/", ann, nil, "Upload-Length", "1", "Upload-Metadata", of(sid))
	r.must(err)
	r.wantProblem(a, http.StatusForbidden, "you are logged in as somebody else: reload the page")
	a, err = r.tus(http.MethodPost, "/uploads/", sid, nil, "Upload-Length", "1", "Upload-Metadata", of(sid))
	r.must(err)
	r.want(a, http.StatusCreated, "")
}
