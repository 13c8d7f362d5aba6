package spool_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"mp3converter/internal/spool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parts is a file that comes in parts, each when something is sent, and ends with an error once the channel is closed.
func parts(t *testing.T, data []byte, each int, end error) (f *spool.File, next chan struct{}) {
	t.Helper()
	scratch, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	next = make(chan struct{})
	f = spool.Fill(scratch, int64(len(data)), func(to io.Writer) error {
		for range next {
			n := min(each, len(data))
			if _, err := to.Write(data[:n]); err != nil {
				return err
			}
			data = data[n:]
		}
		return end
	})
	return f, next
}

func TestReadingWaitsForWhatIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, next := parts(t, []byte("abcdefgh"), 4, nil)
		defer f.Close()
		read := ""
		go func() {
			b := make([]byte, 3)
			for _, off := range []int64{0, 1, 2} {
				n, _ := f.ReadAt(b, off)
				read += string(b[:n]) + " "
			}
		}()
		for _, want := range []string{"", "abc bcd ", "abc bcd cde "} {
			synctest.Wait()
			if read != want {
				t.Errorf("read is %q, want %q", read, want)
			}
			if len(want) < 12 {
				next <- struct{}{}
			}
		}
		if left := f.Left(); left != 0 {
			t.Errorf("%d bytes are left", left)
		}
		ended := time.Now().Add(time.Minute)
		time.AfterFunc(time.Minute, func() { close(next) })
		if err := f.Wait(); err != nil {
			t.Error(err)
		}
		if left, end := f.Left(), f.Since(time.Time{}); left != -1 || !end.Equal(ended) {
			t.Errorf("%d bytes are left, it ended at %v", left, end)
		}
		time.Sleep(time.Minute)
		if now := time.Now(); !f.Since(now).Equal(now) {
			t.Error("it ended later than now")
		}
		if n, err := f.ReadAt(make([]byte, 3), 7); n != 1 || !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %d, %v", n, err)
		}
	})
}

func TestWhatWaitsHearsWhyItDoesNotCome(t *testing.T) {
	away := errors.New("the store is away")
	f, next := parts(t, []byte("abcdefgh"), 4, away)
	defer f.Close()
	r, err := f.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	next <- struct{}{}
	time.AfterFunc(0, func() { close(next) })
	if _, err := f.ReadAt(make([]byte, 1), 6); !errors.Is(err, away) {
		t.Errorf("ReadAt = %v", err)
	}
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, away) {
		t.Errorf("ReadAt of what is there = %v", err)
	}
	if err := f.Wait(); !errors.Is(err, away) {
		t.Errorf("Wait = %v", err)
	}
	if got, err := io.ReadAll(r); err != nil || len(got) > 4 {
		t.Errorf("the pipe gave %q, %v", got, err)
	}
}

func TestAPipeGivesAllOfIt(t *testing.T) {
	data := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	f, next := parts(t, data, 100_000, nil)
	defer f.Close()
	early, err := f.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	gone, err := f.Pipe() // nobody reads it, and nobody waits for that
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	go func() {
		defer close(next)
		for range len(data)/100_000 + 1 {
			next <- struct{}{}
		}
	}()
	if got, err := io.ReadAll(early); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the pipe gave %d bytes, %v", len(got), err)
	}
	if err := f.Wait(); err != nil {
		t.Error(err)
	}
	late, err := f.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if got, err := io.ReadAll(late); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the pipe of what is there gave %d bytes, %v", len(got), err)
	}
}

// A pipe does not end at the last byte but when that is known to be right.
func TestAPipeEndsWhenAllIsWell(t *testing.T) {
	f, next := parts(t, []byte("abcd"), 4, nil)
	defer f.Close()
	r, err := f.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	next <- struct{}{}
	if _, err := io.ReadFull(r, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = r.Read(make([]byte, 1))
		if f.Left() >= 0 {
			t.Error("the pipe has ended, the file has not")
		}
		close(ended)
	}()
	for range 100 {
		if f.Left() < 0 {
			t.Fatal("ended already")
		}
		time.Sleep(time.Millisecond)
	}
	close(next)
	<-ended
}
