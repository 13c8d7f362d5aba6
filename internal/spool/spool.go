// Package spool holds a file while it comes from a store: a scratch file that can be read as far as it is filled, at any place
// or through a pipe. Where the file comes from, and whether it is the right one, is left to whoever fills it.
package spool

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// File is a file that comes. It must be closed.
type File struct {
	scratch *os.File
	size    int64
	work    sync.WaitGroup

	mu    sync.Mutex
	news  sync.Cond // there or ended has changed
	there int64     // bytes, from the start
	ended bool
	err   error
	end   time.Time
}

// Fill returns the file of that size with which fill fills the empty scratch file, in the background. fill must end soon once it is not
// wanted any more; nothing of the file is to be trusted before Wait has returned nil. The scratch file's offset stays.
func Fill(scratch *os.File, size int64, fill func(to io.Writer) error) *File {
	f := &File{scratch: scratch, size: size}
	f.news.L = &f.mu
	f.work.Go(func() {
		err := fill(writer{f})
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ended, f.err, f.end = true, err, time.Now()
		f.news.Broadcast()
	})
	return f
}

type writer struct{ *File }

func (w writer) Write(b []byte) (int, error) {
	n, err := w.scratch.WriteAt(b, w.there) // nobody else changes it
	w.mu.Lock()
	defer w.mu.Unlock()
	w.there += int64(n)
	w.news.Broadcast()
	return n, err
}

// Size is how many bytes the file has.
func (f *File) Size() int64 { return f.size }

// Scratch is what is filled.
func (f *File) Scratch() *os.File { return f.scratch }

// Left is how many bytes are yet to come, less than none once Wait would not wait.
func (f *File) Left() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return -1
	}
	return f.size - f.there
}

// Wait waits until all is there, and returns why it is not, or not as it should be.
func (f *File) Wait() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.ended {
		f.news.Wait()
	}
	return f.err
}

// Since returns when all was there, now if it is not yet, or t if that was later. Of no file it is t.
func (f *File) Since(t time.Time) time.Time {
	if f == nil {
		return t
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !f.ended:
		return time.Now()
	case f.end.After(t):
		return f.end
	}
	return t
}

// until waits for the first so many bytes, and returns how many there are: fewer only if there will be no more.
func (f *File) until(end int64) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.there < end && !f.ended {
		f.news.Wait()
	}
	return f.there, f.err
}

// ReadAt implements io.ReaderAt. It waits for what is read, and fails with Wait's error.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if _, err := f.until(min(off+int64(len(p)), f.size)); err != nil {
		return 0, err
	}
	return f.scratch.ReadAt(p, off)
}

// Pipe returns a pipe through which the file comes, from the start, as it is filled. It ends when Wait would not wait any more, at
// the file's end if that returns nil. The caller closes it, and may do so at any time.
func (f *File) Pipe() (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	f.work.Go(func() {
		defer w.Close()
		widen(w)
		if f.feed(w) == nil {
			_ = f.Wait()
		}
	})
	return r, nil
}

// atOnce is how much is written to a pipe at once.
const atOnce = 256 << 10

// feed writes the file, as far as it comes.
func (f *File) feed(w io.Writer) error {
	b := make([]byte, atOnce)
	for at := int64(0); at < f.size; {
		there, err := f.until(at + 1)
		if err != nil || there <= at {
			return err
		}
		n, err := f.scratch.ReadAt(b[:min(there-at, atOnce)], at)
		if err != nil {
			return err
		}
		if _, err := w.Write(b[:n]); err != nil { // nobody reads any more
			return err
		}
		at += int64(n)
	}
	return nil
}

// widen has the pipe hold as much: the fewer changes between two processes. Who may not gets along without.
func widen(w *os.File) {
	if raw, err := w.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, atOnce) })
	}
}

// Close waits for the end of fill and of all pipes, and closes the scratch file.
func (f *File) Close() error {
	f.work.Wait()
	return f.scratch.Close()
}
