package gateway_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mp3converter/internal/gateway"
	"mp3converter/internal/job"
)

// metered is a store that counts the bytes that it has been given and the files that it has opened, and lets nobody read
// before all have opened theirs.
type metered struct {
	gateway.Files
	got, opened *atomic.Int64
	all         chan struct{}
}

func (c metered) Put(ctx context.Context, f job.File, r io.Reader) (job.File, error) {
	return c.Files.Put(ctx, f, io.TeeReader(r, c))
}

func (c metered) Write(p []byte) (int, error) {
	c.got.Add(int64(len(p)))
	return len(p), nil
}

func (c metered) Open(ctx context.Context, id string) (job.File, io.ReadSeekCloser, error) {
	c.opened.Add(1)
	<-c.all
	return c.Files.Open(ctx, id)
}

// heap is how many bytes of it are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Not parallel: the memory of other tests would be counted. The clients' own is. They come one after the other, for
// auth has two seconds and the machine may be at work, and then all are there at once.
func TestTwoHundredUploadsAndDownloadsAtOnceTakeLittleMemory(t *testing.T) {
	const crowd, each = 200, 400 << 10 // 150 are seen
	store := metered{got: new(atomic.Int64), opened: new(atomic.Int64), all: make(chan struct{})}
	r := start(t, func(_ *rig, cfg *gateway.Config) {
		cfg.MaxUploads, cfg.MaxUploadsEach, cfg.MaxDownloads = crowd, crowd, 2*crowd
		video, mp3 := store, store
		video.Files, mp3.Files = cfg.Videos, cfg.MP3s
		cfg.Videos, cfg.MP3s = video, mp3
	})
	before := heap()
	half := strings.Repeat("video", 20<<10)
	const kept = 8 << 10 // by the form's reader, for it may be the end
	var bodies []*io.PipeWriter
	var answers []<-chan answer
	for i := range int64(crowd) {
		q, out := slowly(request{})
		answers, bodies = append(answers, r.async(q)), append(bodies, out)
		_, err := io.WriteString(out, opening+half)
		r.must(err)
		r.eventually("the upload is half there", func() bool { return store.got.Load() >= (i+1)*int64(len(half)-kept) })
	}
	if held := (heap() - before) / crowd; held > each {
		t.Errorf("each of %d uploads holds %d bytes, want at most %d", crowd, held, each)
	}
	for i, out := range bodies {
		_, err := io.WriteString(out, closing)
		r.must(err)
		r.must(out.Close())
		r.want(<-answers[i], 200, "success!")
	}
	mp3 := r.convert(r.upload("video").ID, half).MP3
	for i := range answers {
		answers[i] = r.async(request{path: "/download?fid=" + mp3})
		r.eventually("the download has begun", func() bool { return store.opened.Load() > int64(i) })
	}
	close(store.all)
	for _, a := range answers {
		if a := <-a; a.status != 200 || a.body != half {
			t.Errorf("a download is answered %d with %d bytes, %.100q, want the file's %d", a.status, len(a.body), a.body, len(half))
		}
	}
}

// Each wave is at auth all at once, and the second comes by the connections of the first.
func TestACrowdKeepsItsConnectionsToAuth(t *testing.T) {
	t.Parallel()
	const crowd = 80 // auth has 2 s, and the machine may be at work
	r := start(t)
	var mu sync.Mutex
	from, arrived, all := map[string]bool{}, 0, make(chan struct{})
	r.setAuth(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		from[req.RemoteAddr] = true
		arrived++
		here := all
		if arrived%crowd == 0 {
			close(all)
			all = make(chan struct{})
		}
		mu.Unlock()
		<-here
		w.WriteHeader(http.StatusForbidden)
	})
	for range 2 {
		var answers []<-chan answer
		for range crowd {
			answers = append(answers, r.async(request{path: "/jobs"}))
		}
		for _, a := range answers {
			r.want(<-a, 403, "not authorized")
		}
	}
	if len(from) > crowd {
		t.Errorf("%d connections for two waves of %d", len(from), crowd)
	}
}
