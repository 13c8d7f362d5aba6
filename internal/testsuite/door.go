package testsuite

import (
	"io"
	"net"
	"sync"
	"testing"

	"mp3converter/internal/testserver"
)

// Door is the only way to a server for those who are given its address. While it is shut nobody listens there, as if the
// server were down; when it is shut, whoever is inside is thrown out.
type Door struct {
	Addr string
	to   func() string // host:port, for each guest

	listener net.Listener
	mu       sync.Mutex
	inside   map[net.Conn]struct{} // nil while shut
	running  sync.WaitGroup
}

// NewDoor returns a door that is shut.
func NewDoor(t *testing.T, to string) *Door {
	t.Helper()
	return NewDoorToAny(t, func() string { return to })
}

// NewDoorToAny returns a door, shut, behind which each guest finds the server that to names then: none if it is empty.
func NewDoorToAny(t *testing.T, to func() string) *Door {
	t.Helper()
	d := &Door{Addr: FreeAddr(t), to: to}
	t.Cleanup(d.Shut)
	return d
}

// FreeAddr is testserver.FreeAddr.
func FreeAddr(t *testing.T) string {
	t.Helper()
	addr, err := testserver.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func (d *Door) Open(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	d.listener, d.inside = listener, map[net.Conn]struct{}{}
	d.running.Go(func() {
		for {
			guest, err := listener.Accept()
			if err != nil {
				return
			}
			d.running.Go(func() { d.serve(guest) })
		}
	})
}

func (d *Door) Shut() {
	if d.listener == nil {
		return
	}
	d.listener.Close()
	d.mu.Lock()
	for c := range d.inside {
		c.Close()
	}
	d.inside = nil
	d.mu.Unlock()
	d.running.Wait()
	d.listener = nil
}

func (d *Door) serve(guest net.Conn) {
	defer guest.Close()
	host, err := net.Dial("tcp", d.to())
	if err != nil {
		return
	}
	defer host.Close()
	if !d.enter(guest, host) {
		return
	}
	defer d.leave(guest, host)
	var both sync.WaitGroup
	both.Go(func() { carry(host, guest) })
	both.Go(func() { carry(guest, host) })
	both.Wait()
}

// carry copies until either end closes, and then closes both ways.
func carry(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
}

// enter notes the connections, unless the door has been shut meanwhile.
func (d *Door) enter(conns ...net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside == nil {
		return false
	}
	for _, c := range conns {
		d.inside[c] = struct{}{}
	}
	return true
}

func (d *Door) leave(conns ...net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range conns {
		delete(d.inside, c)
	}
}
