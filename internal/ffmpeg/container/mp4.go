package container

import (
	"iter"
	"time"
)

// box is one box (QuickTime: atom) of an MP4 file; start and end enclose its body.
type box struct {
	kind       string
	head       int64 // where its size and kind stand
	start, end int64
	cut        bool // end is where the box around it, or the file, ends; it should be later
}

// boxes yields the boxes between two offsets, up to the first that makes no sense.
func (s *source) boxes(from, to int64) iter.Seq[box] {
	return func(yield func(box) bool) {
		for from <= to-8 && s.step() {
			h := s.upTo(from, 16)
			size, head := uint64(be32(h, 0)), uint64(8)
			switch {
			case len(h) < 8:
				return
			case size == 1:
				size, head = be64(h, 8), 16
			case size == 0:
				size = uint64(to - from) //nolint:gosec // the loop's condition: not negative
			}
			if size < head {
				return
			}
			b := box{kind: string(h[4:8]), head: from, start: from + int64(head), end: to}
			b.cut = size > uint64(to-from) //nolint:gosec // as above
			if !b.cut {
				b.end = from + int64(size) //nolint:gosec // at most to
			}
			if b.start > to || !yield(b) {
				return
			}
			from = b.end
		}
	}
}

// find returns the first box at the end of a path of kinds; its kind is "" if there is none.
func (s *source) find(in box, path ...string) box {
	for _, kind := range path {
		found := box{}
		for b := range s.boxes(in.start, in.end) {
			if b.kind == kind {
				found = b
				break
			}
		}
		if found.kind == "" {
			return box{}
		}
		in = found
	}
	return in
}

// field returns up to n bytes of the box.
func (s *source) field(b box, n int) []byte {
	return s.upTo(b.start, int(min(int64(n), b.end-b.start)))
}

// movie is what is known of an MP4 file while its top-level boxes go by.
type movie struct {
	s          *source
	scale      float64 // units per second of the movie
	declared   float64 // seconds of the whole movie as mehd has it, which stands in fragmented files only
	fragmented bool
	tracks     []track
	cut        bool
	index      bool    // a moov was found
	guess      float64 // seconds of the whole movie, if its fragments go on as they begin
}

func (s *source) mp4() Facts {
	m := movie{s: s}
	for b := range s.boxes(0, s.size) {
		switch b.kind {
		case "moov":
			m.moov(b)
		case "moof":
			m.moof(b)
		case "sidx":
			m.sidx(b)
		case "mdat":
		default:
			continue // a tool's own box, or whatever somebody has appended, may be cut
		}
		m.cut = m.cut || b.cut
		if s.more = s.front && max(m.declared, m.guess) > 0 && b.end < s.size; s.more {
			break
		}
	}
	return m.facts()
}

func (m *movie) moov(b box) {
	if m.index {
		return // ffmpeg reads the first
	}
	m.index = true
	m.scale = m.timescale(m.s.find(b, "mvhd"))
	for t := range m.s.boxes(b.start, b.end) {
		switch t.kind {
		case "trak":
			m.tracks = append(m.tracks, m.trak(t))
		case "mvex":
			m.mvex(t)
		case "cmov":
			m.index = false // compressed, of about 1999: ffmpeg can read it
		}
		if len(m.tracks) > maxTracks {
			return
		}
	}
}

// maxTracks bounds the tracks looked at; ffmpeg is told to read 64 streams at most.
const maxTracks = 64

// timescale reads the units per second from a mvhd or mdhd box.
func (m *movie) timescale(b box) float64 {
	h := m.s.field(b, 32)
	if len(h) > 0 && h[0] == 1 {
		return float64(be32(h, 20))
	}
	return float64(be32(h, 12))
}

// facts adds up. What a plain file lacks is counted; of a fragmented one it is only known that something is missing.
func (m *movie) facts() Facts {
	f := Facts{Cut: m.cut}
	if !m.index {
		return f
	}
	t := m.sound()
	if t == nil {
		return f
	}
	f.Locked, f.Form, f.Layer3 = t.locked, t.form, t.layer3
	if m.fragmented {
		return m.fragmentFacts(f, t)
	}
	f.Exact, f.Sound = true, m.played(t, t.ticks)
	f.Missing = f.Sound - m.played(t, t.present)
	return f
}

// sound returns the first audio track: the one that ffmpeg calls 0:a:0.
func (m *movie) sound() *track {
	for i := range m.tracks {
		if m.tracks[i].sound {
			return &m.tracks[i]
		}
	}
	return nil
}

// played is how long the first so many ticks of a track sound, after its edit list.
func (m *movie) played(t *track, ticks float64) time.Duration {
	if t.scale == 0 {
		return 0
	}
	media, sum := ticks/t.scale, 0.0
	for _, e := range t.edits {
		rest := media - e.from/t.scale
		if e.length > 0 && m.scale > 0 {
			rest = min(rest, e.length/m.scale)
		}
		sum += max(rest, 0)
	}
	if len(t.edits) == 0 {
		sum = media
	}
	return seconds(sum)
}
