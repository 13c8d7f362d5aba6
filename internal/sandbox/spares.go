package sandbox

import (
	"io"
	"runtime"
	"sync"
)

// Spares keeps a process at hand that has started and waits to be told which program to become: what it takes a program of
// Go's to start, some milliseconds, is then not waited for. It has had nothing to do with any file by then. The next one
// starts when a program has begun. Nil keeps none.
//
// A process dies with the thread that has started it: each has a thread of its own, which stays until it has ended.
type Spares struct {
	mu     sync.Mutex
	idle   *Cmd
	hiring bool
	closed bool
	all    sync.WaitGroup
}

// early is what there is of a process before it is told what to do, and nobody has asked for it.
type early struct {
	stdout, stderr later
	once           sync.Once
	ended          chan struct{}
}

func (e *early) end() {
	if e != nil {
		e.once.Do(func() { close(e.ended) })
	}
}

// take returns the process that is at hand, nil if there is none.
func (s *Spares) take() *Cmd {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.idle
	s.idle = nil
	return c
}

// hire sees to it that there will be a process at hand.
func (s *Spares) hire() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle != nil || s.hiring || s.closed {
		return
	}
	s.hiring = true
	s.all.Go(func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if c, err := newEarly(); err != nil {
			s.offer(nil) // whoever needs a process will be told
		} else if ended := c.early.ended; s.offer(c) {
			<-ended
		}
	})
}

// offer puts the process at hand, unless there is none or nobody will need it.
func (s *Spares) offer(c *Cmd) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hiring = false
	if c != nil && s.closed {
		c.abandon()
		c = nil
	}
	s.idle = c
	return c != nil
}

func newEarly() (*Cmd, error) {
	c, err := newCmd()
	if err != nil {
		return nil, err
	}
	c.early = &early{ended: make(chan struct{})}
	c.Cmd.Stdout, c.Cmd.Stderr = &c.early.stdout, &c.early.stderr
	if err := c.fork(); err != nil {
		c.abandon()
		return nil, err
	}
	return c, nil
}

// Close ends the process at hand and waits until all that were have ended.
func (s *Spares) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if c := s.take(); c != nil {
		c.abandon()
	}
	s.all.Wait()
}

// later is a writer to whatever is named before anything is written; nil discards.
type later struct {
	mu sync.Mutex
	to io.Writer
}

func (l *later) goTo(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = w
}

func (l *later) Write(b []byte) (int, error) {
	l.mu.Lock()
	to := l.to
	l.mu.Unlock()
	if to == nil {
		return len(b), nil
	}
	return to.Write(b)
}
