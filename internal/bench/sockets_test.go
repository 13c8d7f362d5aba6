package main

import (
	"io"
	"net"
	"os"
	"testing"
)

func TestTrafficIsCountedByProcessAndAddress(t *testing.T) {
	there, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	elsewhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	for _, l := range []net.Listener{there, elsewhere} {
		go answer(l, 70_000, 300_000)
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(make([]byte, 70_000)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, c, 300_000); err != nil {
			t.Fatal(err)
		}
	}
	got, err := trafficOf(os.Getpid(), there.Addr().String())
	if want := (traffic{received: 300_000, sent: 70_000}); err != nil || !near(got, want) {
		t.Errorf("trafficOf(me) = %+v, %v, want about %+v", got, err, want)
	}
	if got, err := trafficOf(os.Getppid(), there.Addr().String()); err != nil || got != (traffic{}) {
		t.Errorf("trafficOf(my parent) = %+v, %v, want none", got, err)
	}
}

// near allows for the one byte by which the kernel counts an opening.
func near(got, want traffic) bool {
	off := got.minus(want)
	return off.received >= 0 && off.received <= 1 && off.sent >= 0 && off.sent <= 1
}

// answer reads so many bytes of one connection and sends so many.
func answer(l net.Listener, read, write int64) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.CopyN(io.Discard, c, read)
	_, _ = c.Write(make([]byte, write))
	_, _ = io.Copy(io.Discard, c)
}
