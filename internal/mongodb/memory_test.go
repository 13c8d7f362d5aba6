package mongodb

import (
	"context"
	"io"
	"runtime"
	"sync"
	"testing"

	"mp3converter/internal/job"
	"mp3converter/internal/porttest"
)

// tide is a video of which a server swallows only as much as it must: it answers an insert only when Put has read as far
// ahead as it ever will, so that Put holds as much as it ever does.
type tide struct {
	mu       sync.Mutex
	turned   sync.Cond
	left     int // bytes not yet read
	ahead    int // bytes read, for which no insert was answered
	furthest int
	highs    int   // how often ahead was full
	live     int64 // bytes alive in the heap when it was last looked: what leaks is there, what other tests left is not
}

const full = (inFlight + 1) * batchChunks * ChunkSize

func (t *tide) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.turned.Broadcast()
	if t.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), 4096, t.left)
	t.left, t.ahead = t.left-n, t.ahead+n
	t.furthest = max(t.furthest, t.ahead)
	if t.ahead == full {
		if t.highs++; t.highs%8 == 1 {
			t.live = live()
		}
	}
	return n, nil
}

func (t *tide) swallow() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.ahead < full && t.left > 0 {
		t.turned.Wait()
	}
	t.ahead -= batchChunks * ChunkSize
}

// live returns how many bytes are in use in the heap. What lies in a sync.Pool survives one collection.
func live() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestLittleOfALargeFileIsHeld(t *testing.T) {
	const size, limit = 100 << 20, 12 << 20 // 8 to 10 are seen; the collector lets the heap grow to twice that
	for name, store := range map[string]func(s *Files, r io.Reader) (bytes int64, err error){
		"Put": func(s *Files, r io.Reader) (int64, error) {
			f, err := s.Put(t.Context(), porttest.NewFile("a"), r)
			return f.Bytes, err
		},
		"Append": func(s *Files, r io.Reader) (last int64, err error) {
			f := porttest.NewFile("a")
			f.Bytes = size
			err = s.Append(t.Context(), f, job.Arrival{Writer: 1}, r, func(_ context.Context, a job.Arrival) error { last = a.Offset; return nil })
			return last, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			video := &tide{left: size}
			video.turned.L = &video.mu
			c := connect(t, newSink(t, video.swallow).uri)
			if err := c.Ping(t.Context()); err != nil { // connected, so that this is not counted
				t.Fatal(err)
			}
			before := live()
			if n, err := store(c.Videos(), video); err != nil || n != size {
				t.Fatalf("%d bytes were stored: %v", n, err)
			}
			if video.furthest != full {
				t.Errorf("%d bytes were read ahead of the server, want %d", video.furthest, full)
			}
			// What other tests left may have gone meanwhile, so there are two baselines.
			if held := video.live - min(before, live()); held > limit {
				t.Errorf("%d bytes were held, want at most %d", held, limit)
			}
		})
	}
}

// crowd is many videos at once, of which a server swallows nothing yet.
type crowd struct {
	mu   sync.Mutex
	grew sync.Cond
	read int // bytes, of all
}

func newCrowd() *crowd {
	c := new(crowd)
	c.grew.L = &c.mu
	return c
}

// video is one of them.
func (c *crowd) video(size int) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if size == 0 {
			return 0, io.EOF
		}
		n := min(len(p), size)
		size, c.read = size-n, c.read+n
		c.grew.Broadcast()
		return n, nil
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// wait returns when so many bytes have been read.
func (c *crowd) wait(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.read < bytes {
		c.grew.Wait()
	}
}

// holds returns how many bytes of memory so many puts take while the server answers no insert, once all have read what
// they read before an answer, and how many bytes they have read then.
func (c *crowd) holds(t *testing.T, puts, size, read int) (held int64, inserts int) {
	t.Helper()
	arrived, answer := make(chan struct{}, puts*(2+size/ChunkSize)), make(chan struct{})
	client := connect(t, newSink(t, func() { arrived <- struct{}{}; <-answer }).uri)
	before := live()
	var g sync.WaitGroup
	for range puts {
		g.Go(func() {
			if _, err := client.Videos().Put(t.Context(), porttest.NewFile("a"), c.video(size)); err != nil {
				t.Error(err)
			}
		})
	}
	c.wait(read)
	for range min(puts, bulk) {
		<-arrived
	}
	held, inserts = live()-before, len(arrived)+min(puts, bulk)
	close(answer)
	g.Wait()
	return held, inserts
}

func TestManySmallPutsHoldLittle(t *testing.T) {
	const puts, size, limit = 100, 3, 60 << 20
	if held, _ := newCrowd().holds(t, puts, size, puts*size); held > limit {
		t.Errorf("%d puts of three bytes hold %d bytes, want at most %d", puts, held, limit)
	}
}

// Of many large ones only those hold more than a batch whose inserts are under way, and of these there are so many.
func TestManyLargePutsHoldLittle(t *testing.T) {
	const (
		puts  = 60
		batch = batchChunks * ChunkSize
		read  = (puts + bulk) * batch
		limit = read + 2*bulk*batch + (puts-bulk)*batch/2 // the driver copies a batch twice; half of what another batch of each were
	)
	c := newCrowd()
	held, inserts := c.holds(t, puts, 4*batch, read)
	if held > limit {
		t.Errorf("%d puts hold %d bytes, want at most %d", puts, held, limit)
	}
	if inserts != bulk {
		t.Errorf("%d inserts are under way at once, want %d", inserts, bulk)
	}
}
