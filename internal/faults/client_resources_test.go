package faults

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/sys/unix"

	"mp3converter/internal/checker"
	"mp3converter/internal/job"
	"mp3converter/internal/testserver"
	"mp3converter/internal/testsuite"
)

// text is no video: its job fails, and costs no conversion.
func text(name string) testsuite.Video {
	return testsuite.Video{Name: name, Data: []byte(strings.Repeat("this is no video\n", 1000))}
}

func fewDescriptors(t *testing.T, r *rig) string {
	const clients, few = 40, 64
	gateway := r.alone()
	r.upload(text("before.txt"), "", idle)
	limit := unix.Rlimit{Cur: few, Max: few}
	if err := unix.Prlimit(gateway.PID(), unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	told := map[int]int{}
	for n := range clients {
		ask := func() int {
			a, _ := testsuite.Request{Base: r.Gates[0], Path: "/jobs", Auth: "Bearer " + r.person.Token}.TryBy(r.client)
			return a.Status // 0 if there is no answer
		}
		if n%8 == 0 { // few, for each becomes a job
			ask = func() int { return r.try(text(number("few", n)), "", 0).Status }
		}
		all.Go(func() {
			for range 5 {
				status := ask()
				mu.Lock()
				told[status]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for status := range told {
		if status != 0 && status != http.StatusOK && status != http.StatusServiceUnavailable {
			t.Errorf("%d clients were told %d", told[status], status)
		}
	}
	if told[0]+told[http.StatusServiceUnavailable] == 0 {
		t.Error("no client noticed anything: the descriptors were enough")
	}
	if gateway.Ended() {
		t.Fatal("the gateway has ended")
	}
	r.upload(talk(t), "", idle)
	r.check(t, checker.Allowed{})
	return fmt.Sprintf("%d times 200, %d times 503, %d times nothing; then 200", told[200], told[503], told[0])
}

// zeros is a body that is never at an end, and counts what was taken of it.
type zeros struct {
	mu    sync.Mutex
	taken int64
	until chan struct{}
}

func (z *zeros) Read(p []byte) (int, error) {
	select {
	case <-z.until:
		return 0, io.ErrUnexpectedEOF
	default:
	}
	clear(p)
	z.mu.Lock()
	defer z.mu.Unlock()
	z.taken += int64(len(p))
	return len(p), nil
}

func (z *zeros) so() int64 {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.taken
}

// memoryIsBounded has senders that are as quick as they can be over a store that takes next to nothing: a gateway without
// a bound would have each upload's most within a second. It has no race detector, which takes several times the memory.
func memoryIsBounded(t *testing.T) string {
	const uploads, bound, most = 8, 32 << 20, 128 << 20
	r := newRig(t, testsuite.NewVhost(t), "WORKERS=1")
	r.StartAuth()
	r.StartConverter()
	r.StartNotification()
	way := testserver.NewProxy(t, r.Mongo.Addr)
	r.At.MongoDB = "mongodb://" + way.Addr + "/?directConnection=true"
	r.Programs = testsuite.WithoutRaces
	gateway := r.gateway("MAX_UPLOAD_BYTES=1073741824", "UPLOAD_LEASE_SECONDS=30")
	r.user()
	r.upload(text("before.txt"), "", idle)
	r.check(t, checker.Allowed{})
	quicken := way.Poison(testserver.Toxic{Type: "latency", Upstream: true, Attributes: map[string]any{"latency": 100}})
	widen := way.Poison(testserver.Toxic{Type: "bandwidth", Upstream: true, Attributes: map[string]any{"rate": 200}})
	before := metric(t, gateway, "process_resident_memory_bytes")

	body := &zeros{until: make(chan struct{})}
	var all sync.WaitGroup
	for range uploads {
		all.Go(func() { r.pour(t, body) })
	}
	var peak float64
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end) && body.so() < uploads*most; {
		peak = max(peak, metric(t, gateway, "process_resident_memory_bytes"))
		time.Sleep(50 * time.Millisecond)
	}
	close(body.until)
	all.Wait()
	widen() // what is left is removed on a good way
	quicken()
	growth := int64(peak-before) / uploads
	if growth > bound {
		t.Errorf("the gateway has grown by %d MiB for each upload, at most are %d", growth>>20, bound>>20)
	}
	// FerretDB reads all chunks for each file that it removes, and the checker does for each look: not both at once.
	hidden := bson.D{{Key: "state", Value: bson.D{{Key: "$in", Value: []job.State{job.Uploading, job.Deleted}}}}}
	grows(t, "broken uploads removed", uploads, func() int { return uploads - r.count(t, hidden) })
	r.check(t, checker.Allowed{})
	return fmt.Sprintf("%d MiB for each of %d", growth>>20, uploads)
}

// pour uploads a body that breaks off.
func (r *rig) pour(t *testing.T, body io.Reader) {
	const boundary = "the-boundary"
	start := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"zeros.mp4\"\r\n\r\n"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.Gates[0]+"/upload", io.MultiReader(strings.NewReader(start), body))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+r.person.Token)
	req.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("a body without an end was answered %d", resp.StatusCode)
	}
}
