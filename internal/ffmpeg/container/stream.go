package container

import (
	"bufio"
	"bytes"
	"io"
)

const (
	// maxStream bounds the streams that are walked: 18 hours at 128 kb/s.
	maxStream = 1 << 30
	// chainReach is how far three headers lie apart at most.
	chainReach = 3 << 13
)

// stream walks a bare stream of frames and returns how long it would sound if what lies between frames, which is damage,
// were frames too. What follows the last frame are tags, or a frame that a recorder has cut off.
func (s *source) stream(start int64, parse func([]byte) header) Facts {
	if s.size-start > maxStream {
		return Facts{}
	}
	w := walk{parse: parse, left: s.size - start}
	w.r = bufio.NewReaderSize(io.NewSectionReader(s.r, start, w.left), 2*chainReach)
	for w.next() {
	}
	if w.good == 0 {
		return Facts{}
	}
	return Facts{Exact: true, Sound: seconds(w.seconds * float64(w.good+w.bad) / float64(w.good))}
}

// walk follows a stream of frames.
type walk struct {
	parse     func([]byte) header
	r         *bufio.Reader
	left      int64
	shared    uint32
	good, bad int64 // bytes in frames, and between them
	pending   int64 // bytes since the last frame
	seconds   float64
}

// next takes the next frame, or what is none up to the next; false at the end.
func (w *walk) next() bool {
	b, _ := w.r.Peek(chainReach) // less at the end, and nothing if reading fails: then nobody can convert it either
	if len(b) == 0 {
		return false
	}
	h := w.parse(b)
	if h.length == 0 || h.length > len(b) || h.shared != w.shared && !chained(b, w.left, w.parse) {
		w.skip(b)
		return true
	}
	w.shared = h.shared
	w.good, w.bad, w.pending = w.good+int64(h.length), w.bad+w.pending, 0
	w.seconds += h.seconds
	w.discard(h.length)
	return true
}

// skip leaves out what is no frame.
func (w *walk) skip(b []byte) {
	n := bytes.IndexByte(b[1:], 0xFF) + 1
	if n == 0 {
		n = len(b)
	}
	w.shared = 0
	w.pending += int64(n)
	w.discard(n)
}

func (w *walk) discard(n int) {
	n, _ = w.r.Discard(n)
	w.left -= int64(n)
}

// chained reports whether b begins with three frames in a row, or with one or two that end where the file does, left
// bytes from there.
func chained(b []byte, left int64, parse func([]byte) header) bool {
	first := parse(b)
	if first.length == 0 {
		return false
	}
	for n, at := 1, first.length; n < 3; n++ {
		if int64(at) == left {
			return true
		}
		if at >= len(b) {
			return false
		}
		next := parse(b[at:])
		if next.length == 0 || next.shared != first.shared {
			return false
		}
		at += next.length
	}
	return true
}
