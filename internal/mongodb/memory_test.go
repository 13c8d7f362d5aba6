package mongodb

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"mp3converter/internal/porttest"
)

type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), 4096, z.left)
	z.left -= n
	return int(n), nil
}

func TestRSS(t *testing.T) {
	s := newSink(t)
	close(s.gate)
	c, err := Connect(s.uri, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Videos().Put(t.Context(), porttest.NewFile("a"), &zeros{1 << 20}); err != nil {
		t.Fatal(err)
	}
	for _, par := range []int{1, 2, 4, 16} {
		debug.FreeOSMemory()
		base := rss()
		start := time.Now()
		peak := 0
		done := make(chan struct{})
		go func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
					peak = max(peak, rss())
				}
			}
		}()
		var wg sync.WaitGroup
		for range par {
			wg.Go(func() {
				_, err := c.Videos().Put(t.Context(), porttest.NewFile("a"), &zeros{400 << 20})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		close(done)
		el := time.Since(start)
		t.Logf("par %d: base %d MiB peak %d MiB, per upload %.1f, %.0f MB/s", par, base>>10, peak>>10, float64(peak-base)/1024/float64(par), float64(par)*400*1.048/el.Seconds())
	}
}

func rss() int {
	b, _ := os.ReadFile("/proc/self/status")
	for _, l := range strings.Split(string(b), "\n") {
		var n int
		if _, err := fmt.Sscanf(l, "VmRSS: %d kB", &n); err == nil {
			return n
		}
	}
	return 0
}
