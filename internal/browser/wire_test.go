package browser_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// wire is the way to a server, which can be cut: then whoever is on it is thrown off, and nobody gets through until it is
// mended.
type wire struct {
	URL string
	up  atomic.Int64 // bytes that went to the server

	to      string
	mu      sync.Mutex
	cut     bool
	cutAt   int64 // of up; 0 is never
	holdAt  int64 // likewise
	held    chan struct{}
	through map[net.Conn]struct{}
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{URL: "http://" + listener.Addr().String(), to: to, through: map[net.Conn]struct{}{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			guest, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.carry(guest) })
		}
	})
	t.Cleanup(func() { listener.Close(); w.Cut(); running.Wait() })
	return w
}

// CutAfter cuts the wire when so many more bytes have gone up.
func (w *wire) CutAfter(bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cutAt = w.up.Load() + bytes
}

// HoldAfter keeps whoever is on the wire when so many more bytes have gone up, but nobody else, until release is called.
func (w *wire) HoldAfter(bytes int64) (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holdAt, w.held = w.up.Load()+bytes, make(chan struct{})
	return sync.OnceFunc(func() { close(w.held) })
}

// Cut cuts it now.
func (w *wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut, w.cutAt = true, 0
	for c := range w.through {
		c.Close()
	}
	clear(w.through)
}

// Mend ends Cut.
func (w *wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}

func (w *wire) carry(guest net.Conn) {
	defer guest.Close()
	server, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer server.Close()
	w.mu.Lock()
	cut := w.cut
	if !cut {
		w.through[guest], w.through[server] = struct{}{}, struct{}{}
	}
	w.mu.Unlock()
	if cut {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(guest, server); guest.Close() })
	both.Go(func() { _, _ = io.Copy(counted{server, w}, guest); server.Close() })
	both.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.through, guest)
	delete(w.through, server)
}

// counted counts what goes up, and cuts or holds the wire when that is enough.
type counted struct {
	net.Conn
	w *wire
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	up := c.w.up.Add(int64(n))
	c.w.mu.Lock()
	enough, hold := c.w.cutAt != 0 && up >= c.w.cutAt, c.w.holdAt != 0 && up >= c.w.holdAt
	if hold {
		c.w.holdAt = 0
	}
	c.w.mu.Unlock()
	switch {
	case enough:
		c.w.Cut()
	case hold:
		<-c.w.held
	}
	return n, err
}
