package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

// slowly is a request whose body comes as the test says.
func slowly(q request) (request, *io.PipeWriter) {
	in, out := io.Pipe()
	q.path, q.method, q.body = "/upload", http.MethodPost, in
	if q.header == nil {
		q.header = http.Header{}
	}
	q.header.Set("Content-Type", "multipart/form-data; boundary=b")
	return q, out
}

// async sends a request and gives its answer later.
func (r *rig) async(q request) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		a, err := r.try(q)
		if err != nil {
			a.err = err
		}
		c <- a
	}()
	return c
}

func TestUploadsAtOnceAreLimited(t *testing.T) {
	t.Parallel()
	r := start(t, func(_ *rig, cfg *gateway.Config) { cfg.MaxUploads, cfg.MaxUploadsEach = 3, 2 })
	busy := func(n float64) func() bool { return func() bool { return r.gauge("gateway_uploads") == n } }
	begin := func(user string, n float64) (*io.PipeWriter, <-chan answer) {
		q, out := slowly(request{token: user})
		a := r.async(q)
		_, err := io.WriteString(out, opening)
		r.must(err)
		r.eventually("the upload is under way", busy(n))
		return out, a
	}
	refused := func(user string) {
		t.Helper()
		a := r.do(request{path: "/upload", form: file("video"), token: user})
		r.wantProblem(a, 503, "too many uploads")
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	first, answer1 := begin(sid, 1)
	second, answer2 := begin(sid, 2)
	refused(sid) // has his share
	third, answer3 := begin(ann, 3)
	refused(ann) // the gateway is full
	for out, a := range map[*io.PipeWriter]<-chan answer{first: answer1, second: answer2, third: answer3} {
		_, err := io.WriteString(out, "video"+closing)
		r.must(err)
		r.must(out.Close())
		r.want(<-a, 200, "success!")
	}
	r.eventually("all places are free", busy(0))
	r.upload("video")
}

func TestManyUploadsAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	const n = 48 // the original failed 45 of as many
	want := map[string]bool{}
	var answers []<-chan answer
	for i := range n {
		content := strings.Repeat(fmt.Sprintf("video %d ", i), 10_000+i)
		want[content] = true
		answers = append(answers, r.async(request{path: "/upload", form: file(content)}))
	}
	for _, a := range answers {
		a := <-a
		r.want(a, 200, "success!")
		delete(want, r.content(r.videos, strings.TrimPrefix(a.header.Get("Location"), "/jobs/")))
	}
	if len(want) > 0 {
		t.Errorf("%d of %d videos did not come back as they were", len(want), n)
	}
}

// sunk is a store that keeps nothing, so that only the gateway's own memory is measured.
type sunk struct{ gateway.Files }

type zeros struct{}

func TestALargeUploadTakesLittleMemory(t *testing.T) {
	r := start(t, func(r *rig, cfg *gateway.Config) { cfg.Videos = sunk{cfg.Videos} })
	const size = 300 * mega
	q := request{
		path: "/upload", header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}},
		body:  io.MultiReader(strings.NewReader(opening), io.LimitReader(zeros{}, size), strings.NewReader(closing)),
		bytes: int64(len(opening) + size + len(closing)),
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a := r.do(q)
	runtime.ReadMemStats(&after)
	r.want(a, 200, "success!")
	if n := after.TotalAlloc - before.TotalAlloc; n > 8*mega {
		t.Errorf("%d bytes were allocated for an upload of %d", n, size)
	}
	if j := r.job(strings.TrimPrefix(a.header.Get("Location"), "/jobs/")); j.VideoBytes != size {
		t.Errorf("job has %d bytes", j.VideoBytes)
	}
}

func (sunk) Put(_ context.Context, f job.File, r io.Reader) (job.File, error) {
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 256<<10))
	f.Bytes, f.Stored = n, time.Now()
	return f, err
}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// held is a store that opens files only when the test lets it.
type held struct {
	gateway.Files
	asked, open chan struct{}
}

func (h held) Open(ctx context.Context, id string) (job.File, io.ReadSeekCloser, error) {
	h.asked <- struct{}{}
	<-h.open
	return h.Files.Open(ctx, id)
}

func TestDownloadsAtOnceAreLimited(t *testing.T) {
	t.Parallel()
	store := held{asked: make(chan struct{}, 2), open: make(chan struct{})}
	r := start(t, func(r *rig, cfg *gateway.Config) {
		store.Files = cfg.MP3s
		cfg.MP3s, cfg.MaxDownloads = store, 1
	})
	mp3 := r.convert(r.upload("video").ID, "sound").MP3
	first := r.async(request{path: "/download?fid=" + mp3})
	<-store.asked
	a := r.do(request{path: "/download?fid=" + mp3})
	r.wantProblem(a, 503, "too many")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	close(store.open)
	r.want(<-first, 200, "sound")
	r.want(r.do(request{path: "/download?fid=" + mp3}), 200, "sound") // its place is free again
}
