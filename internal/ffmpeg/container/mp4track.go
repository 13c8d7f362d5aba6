package container

import (
	"math"
	"slices"
)

// track is one track of an MP4 file. Ticks are units of its own time scale.
type track struct {
	id      uint32
	sound   bool
	locked  bool
	scale   float64 // ticks per second
	ticks   float64 // all samples
	present float64 // the samples whose chunks begin within the file
	usual   float64 // ticks of a fragment's sample that does not say
	edits   []edit
	form    Form
	layer3  bool
}

// edit is an entry of the edit list that plays something.
type edit struct {
	from   float64 // ticks
	length float64 // movie units; 0 is up to the end
}

func (m *movie) trak(b box) track {
	s := m.s
	t := track{id: trackID(s.field(s.find(b, "tkhd"), 24))}
	media := s.find(b, "mdia")
	t.scale = m.timescale(s.find(media, "mdhd"))
	t.sound = string(tail(s.field(s.find(media, "hdlr"), 12), 8)) == "soun"
	t.edits = m.elst(s.find(b, "edts", "elst"))
	if !t.sound {
		return t
	}
	tables := s.find(media, "minf", "stbl")
	const most = 256 // of QuickTime's version 2, with all that ffmpeg and others put around an esds
	stsd := s.field(s.find(tables, "stsd"), most)
	codec := string(tail(stsd[:min(16, len(stsd))], 12))
	t.locked = codec == "enca" || codec == "drms"
	if slices.Contains(samples, codec) {
		t.form = sampleForm(stsd)
	}
	t.layer3 = layer3Entry(stsd)
	stts := s.find(tables, "stts")
	t.ticks = m.ticks(stts, math.MaxUint64)
	t.present = m.ticks(stts, m.presentSamples(tables))
	return t
}

// samples are the codecs that are none: PCM. What the others' descriptions say of rates is often a time scale.
var samples = []string{"lpcm", "ipcm", "fpcm", "sowt", "twos", "raw ", "NONE", "in24", "in32", "fl32", "fl64", "alaw", "ulaw"}

// sampleForm reads QuickTime's sound description behind the head of stsd; its second version has wider numbers.
func sampleForm(stsd []byte) Form {
	if len(stsd) < 44 {
		return Form{}
	}
	if stsd[25] == 2 {
		return Form{int64(be32(stsd, 56)), hertz(float(tail(stsd, 48)[:min(8, max(0, len(stsd)-48))]))}
	}
	return Form{int64(stsd[32])<<8 | int64(stsd[33]), int64(be32(stsd, 40) >> 16)}
}

// tail is b from at on; nothing if b is too short.
func tail(b []byte, at int) []byte {
	if len(b) < at {
		return nil
	}
	return b[at:]
}

func trackID(tkhd []byte) uint32 {
	if len(tkhd) > 0 && tkhd[0] == 1 {
		return be32(tkhd, 20)
	}
	return be32(tkhd, 12)
}

// maxEdits bounds the edit list: players make no sense of long ones.
const maxEdits = 1 << 10

func (m *movie) elst(b box) []edit {
	h := m.s.field(b, 8)
	if len(h) < 8 {
		return nil
	}
	var edits []edit
	t := m.s.table(b.start+8, b.end)
	for range min(be32(h, 4), maxEdits) {
		e, empty, ok := t.edit(h[0])
		if !ok {
			break
		}
		if !empty {
			edits = append(edits, e)
		}
	}
	return edits
}

// edit reads an entry; an empty one is silence before the sound.
func (t *table) edit(version byte) (e edit, empty, ok bool) {
	if version == 1 {
		length, _ := t.u64()
		from, _ := t.u64()
		_, ok = t.u32() // the speed
		return edit{float64(from), float64(length)}, from == math.MaxUint64, ok
	}
	length, _ := t.u32()
	from, _ := t.u32()
	_, ok = t.u32()
	return edit{float64(from), float64(length)}, from == math.MaxUint32, ok
}

// ticks adds up the durations of the first samples as stts has them: runs of a count and a length.
func (m *movie) ticks(stts box, samples uint64) float64 {
	sum := 0.0
	t := m.s.table(stts.start+8, stts.end)
	for range be32(m.s.field(stts, 8), 4) {
		count, _ := t.u32()
		length, ok := t.u32()
		if !ok || samples == 0 {
			break
		}
		n := min(uint64(count), samples)
		sum += float64(n) * float64(length)
		samples -= n
	}
	return sum
}

// presentSamples counts the samples in the chunks up to the first that begins beyond the file's end.
func (m *movie) presentSamples(tables box) uint64 {
	s := m.s
	offsets, wide := s.find(tables, "stco"), false
	if offsets.kind == "" {
		offsets, wide = s.find(tables, "co64"), true
	}
	runs := s.stsc(s.find(tables, "stsc"))
	t := s.table(offsets.start+8, offsets.end)
	samples := uint64(0)
	for chunk := range be32(s.field(offsets, 8), 4) {
		offset, ok := t.offset(wide)
		if !ok || offset >= uint64(s.size) { //nolint:gosec // a size is not negative
			break
		}
		samples += runs(chunk + 1)
	}
	return samples
}

func (t *table) offset(wide bool) (uint64, bool) {
	if wide {
		return t.u64()
	}
	n, ok := t.u32()
	return uint64(n), ok
}

// stsc returns a function that says how many samples a chunk has; it must be asked for chunk after chunk, from 1.
func (s *source) stsc(b box) func(chunk uint32) uint64 {
	t := s.table(b.start+8, b.end)
	left := be32(s.field(b, 8), 4)
	var per, next, nextPer uint32
	read := func() {
		next = math.MaxUint32
		if left == 0 {
			return
		}
		left--
		first, _ := t.u32()
		n, _ := t.u32()
		if _, ok := t.u32(); ok { // which sample description
			next, nextPer = first, n
		}
	}
	read()
	return func(chunk uint32) uint64 {
		for next <= chunk {
			per = nextPer
			read()
		}
		return uint64(per)
	}
}
