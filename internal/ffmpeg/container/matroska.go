package container

import (
	"cmp"
	"iter"
	"math"
	"math/bits"
	"strings"
	"time"
)

// Element ids of Matroska and WebM (RFC 9559).
const (
	idSegment        = 0x18538067
	idInfo           = 0x1549A966
	idTimestampScale = 0x2AD7B1
	idDuration       = 0x4489
	idCluster        = 0x1F43B675
	idTracks         = 0x1654AE6B
	idTrackEntry     = 0xAE
	idCodec          = 0x86
	idAudio          = 0xE1
	idRate           = 0xB5
	idChannels       = 0x9F
)

// element is one element of EBML (RFC 8794); start and end enclose its body.
type element struct {
	id         uint32
	start, end int64
	open       bool // it does not say how long it is
	cut        bool // it ends beyond the file
}

// matroska reads the segment's size, which is known once a recording has ended well, and the duration in its Info.
func (s *source) matroska() Facts {
	var f Facts
	head, ok := s.element(0)
	if !ok {
		return f
	}
	segment, ok := s.element(head.end)
	for ok && segment.id != idSegment && !segment.open && s.step() {
		segment, ok = s.element(segment.end)
	}
	if !ok {
		return f
	}
	f.Cut = segment.cut
	for e, ok := s.element(segment.start); ok && e.id != idCluster && !e.open && s.step(); e, ok = s.element(e.end) {
		switch e.id {
		case idInfo:
			f.Sound = cmp.Or(f.Sound, s.duration(e))
		case idTracks:
			f.Form, f.Layer3 = s.tracks(e)
		}
	}
	return f
}

// inside yields the elements within one.
func (s *source) inside(outer element) iter.Seq[element] {
	return func(yield func(element) bool) {
		for at := outer.start; at < outer.end && s.step(); {
			e, ok := s.element(at)
			if !ok || !yield(e) {
				return
			}
			at = e.end
		}
	}
}

// tracks finds the first track that has something to say of sound: its form, and whether it is an MP3.
func (s *source) tracks(tracks element) (Form, bool) {
	for track := range s.inside(tracks) {
		if track.id != idTrackEntry {
			continue
		}
		codec, form, found := "", Form{1, 8000}, false // as RFC 9559 has it for who says nothing
		for e := range s.inside(track) {
			switch e.id {
			case idCodec:
				codec = strings.TrimRight(string(s.upTo(e.start, int(min(e.end-e.start, 16)))), "\x00")
			case idAudio:
				found = true
				s.audio(e, &form)
			}
		}
		if found && strings.HasPrefix(codec, "A_PCM") {
			return form, false
		}
		if found {
			return Form{}, codec == matroskaL3
		}
	}
	return Form{}, false
}

func (s *source) audio(audio element, form *Form) {
	for e := range s.inside(audio) {
		switch b := s.bytes(e.start, int(min(e.end-e.start, 9))); e.id {
		case idRate:
			form.Rate = hertz(float(b))
		case idChannels:
			form.Channels = int64(min(unsigned(b), math.MaxInt32))
		}
	}
}

// duration reads Info. Duration counts units of TimestampScale nanoseconds, by default milliseconds.
func (s *source) duration(info element) time.Duration {
	scale, units := 1e6, 0.0
	for e := range s.inside(info) {
		switch b := s.bytes(e.start, int(min(e.end-e.start, 9))); e.id {
		case idTimestampScale:
			scale = float64(unsigned(b))
		case idDuration:
			units = float(b)
		}
	}
	return seconds(units * scale / 1e9)
}

// element reads an element's head at off; false if there is none.
func (s *source) element(off int64) (element, bool) {
	h := s.upTo(off, 12)
	idLen, sizeLen := vintLen(h), 0
	if idLen > 0 && idLen <= 4 {
		sizeLen = vintLen(h[idLen:])
	}
	if sizeLen == 0 {
		return element{}, false
	}
	size := unsigned(h[idLen:idLen+sizeLen]) &^ (1 << (7 * sizeLen))
	e := element{id: uint32(unsigned(h[:idLen])), start: off + int64(idLen+sizeLen)} //nolint:gosec // at most 4 bytes
	e.open = size == 1<<(7*sizeLen)-1
	e.cut = !e.open && size > uint64(s.size-e.start) //nolint:gosec // start lies within the file
	e.end = s.size
	if !e.open && !e.cut {
		e.end = e.start + int64(size) //nolint:gosec // not beyond the file's end
	}
	return e, true
}

// vintLen is the length of the variable-length number that b begins with, 0 if it is not all there.
func vintLen(b []byte) int {
	if len(b) == 0 || b[0] == 0 {
		return 0
	}
	if n := bits.LeadingZeros8(b[0]) + 1; n <= len(b) {
		return n
	}
	return 0
}

func unsigned(b []byte) uint64 {
	n := uint64(0)
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func float(b []byte) float64 {
	switch len(b) {
	case 4:
		return float64(math.Float32frombits(be32(b, 0)))
	case 8:
		return math.Float64frombits(be64(b, 0))
	}
	return 0
}
