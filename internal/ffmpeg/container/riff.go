package container

import (
	"iter"
	"math"
)

// chunk is one chunk of a RIFF file; size is what it says, which may go beyond the file.
type chunk struct {
	kind  string
	start int64
	size  int64
}

// chunks yields the chunks between two offsets.
func (s *source) chunks(from, to int64) iter.Seq[chunk] {
	return func(yield func(chunk) bool) {
		for from <= to-8 && s.step() {
			h := s.bytes(from, 8)
			if h == nil {
				return
			}
			c := chunk{string(h[:4]), from + 8, int64(le32(h, 4))}
			if !yield(c) {
				return
			}
			from = c.start + c.size + c.size&1
		}
	}
}

// list returns the kind of a LIST chunk, "" of any other.
func (s *source) list(c chunk) string {
	if c.kind != "LIST" {
		return ""
	}
	return string(s.bytes(c.start, 4))
}

// avi reads the length of the first audio stream. A recording of more than 1 GB is a row of RIFF chunks (OpenDML).
func (s *source) avi() Facts {
	var f Facts
	for c := range s.chunks(0, s.size) {
		if c.kind != "RIFF" {
			break
		}
		f.Cut = c.start+c.size > s.size
	}
	for c := range s.chunks(12, s.size) {
		if s.list(c) == "hdrl" {
			h := s.hdrl(c)
			f.Exact, f.Sound, f.Form, f.Layer3 = true, ratio(h.length*h.scale, h.rate), h.form, h.layer3
			break
		}
	}
	return f
}

// strh is the head of an AVI stream: it has length × scale / rate seconds.
type strh struct {
	length, scale, rate float64
	form                Form
	layer3              bool
}

// hdrl looks for the first audio stream in the file's head.
func (s *source) hdrl(hdrl chunk) strh {
	for strl := range s.chunks(hdrl.start+4, min(hdrl.start+hdrl.size, s.size)) {
		if s.list(strl) != "strl" {
			continue
		}
		var found *strh
		for c := range s.chunks(strl.start+4, min(strl.start+strl.size, s.size)) {
			if h := s.bytes(c.start, 36); c.kind == "strh" && h != nil && string(h[:4]) == "auds" {
				found = &strh{length: float64(le32(h, 32)), scale: float64(le32(h, 20)), rate: float64(le32(h, 24))}
			}
			if c.kind == "strf" && found != nil {
				format := s.bytes(c.start, 16)
				found.form, found.layer3 = waveForm(format), isWaveMP3(format)
			}
		}
		if found != nil {
			return *found
		}
	}
	return strh{}
}

// waveForm reads a WAVEFORMAT, which Microsoft's containers have in common.
func waveForm(h []byte) Form {
	if len(h) < 8 {
		return Form{}
	}
	return Form{int64(h[2]) | int64(h[3])<<8, int64(le32(h, 4))}
}

// wav reads the size of the sound data, and how many bytes a second has.
func (s *source) wav() Facts {
	var f Facts
	var perSecond, data64 float64
	for c := range s.chunks(12, s.size) {
		switch c.kind {
		case "ds64": // RF64: sizes that do not fit into 32 bits
			data64 = float64(le64(s.bytes(c.start, 28), 8))
		case "fmt ":
			h := s.bytes(c.start, 16)
			perSecond = float64(le32(h, 8))
			f.Exact = len(h) > 0 && perSecond > 0 && isPCM(h)
			f.Form = waveForm(h)
		case "data":
			size := float64(c.size)
			if c.size == math.MaxUint32 && data64 > 0 {
				size = data64
			} else if c.size == 0 || c.size >= openWAV && c.start+c.size > s.size {
				return Facts{Form: f.Form}
			}
			f.Sound, f.Cut = ratio(size, perSecond), float64(c.start)+size > float64(s.size)
			return f
		}
	}
	return f
}

// openWAV and more are sizes of programs that write to a pipe and cannot know better: 2^31 or 2^32, less a little.
const openWAV = 0x7FFF0000

// isPCM reports whether the fmt chunk is of plain samples: the bytes per second of any other codec are an average.
func isPCM(h []byte) bool {
	switch h[0] {
	case 1, 3, 6, 7: // integers, floats, A-law, µ-law
		return h[1] == 0
	case 0xFE: // extensible, nearly always of these
		return h[1] == 0xFF
	}
	return false
}
