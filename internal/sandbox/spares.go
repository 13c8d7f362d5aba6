package sandbox

import (
	"io"
	"runtime"
	"slices"
	"sync"
)

// Spares are processes that have started and wait to be told which program to become. What a program of Go's takes to start,
// some milliseconds, can so go by while something else is waited for. They have had nothing to do with any file by then.
// Nil has none.
//
// A process dies with the thread that has started it: each has a thread of its own, which stays until it has ended.
type Spares struct {
	mu     sync.Mutex
	wanted int // by whoever has hired and not released
	idle   []*Cmd
	all    sync.WaitGroup
}

// Hire has a process start, for the next Command to find. When release returns there is none more than the others want.
func (s *Spares) Hire() (release func()) {
	s.mu.Lock()
	s.wanted++
	s.mu.Unlock()
	s.all.Go(s.start)
	return sync.OnceFunc(s.release)
}

func (s *Spares) start() {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	c, err := newEarly()
	if err != nil {
		return // whoever needs a process will be told
	}
	ended := c.early.ended
	if !s.offer(c) {
		c.abandon()
	}
	<-ended
}

// offer puts a process with the others, unless nobody wants it any more.
func (s *Spares) offer(c *Cmd) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) >= s.wanted {
		return false
	}
	s.idle = append(s.idle, c)
	return true
}

// take returns a process, nil if there is none.
func (s *Spares) take() *Cmd {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == 0 {
		return nil
	}
	c := s.idle[0]
	s.idle = s.idle[1:]
	return c
}

func (s *Spares) release() {
	s.mu.Lock()
	s.wanted--
	keep := min(len(s.idle), s.wanted)
	extra := slices.Clone(s.idle[keep:])
	s.idle = s.idle[:keep]
	s.mu.Unlock()
	for _, c := range extra {
		c.abandon()
	}
}

// Wait waits until all that were hired have ended.
func (s *Spares) Wait() { s.all.Wait() }

// early is what there is of a process before it is told what to do, and nobody has asked for it.
type early struct {
	stdout, stderr later
	once           sync.Once
	ended          chan struct{}
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

func (e *early) end() {
	if e != nil {
		e.once.Do(func() { close(e.ended) })
	}
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
