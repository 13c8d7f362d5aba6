package container

import "cmp"

// mvex marks a file whose samples come in fragments, and holds their defaults.
func (m *movie) mvex(b box) {
	m.fragmented = true
	for e := range m.s.boxes(b.start, b.end) {
		switch e.kind {
		case "mehd":
			m.mehd(m.s.field(e, 12))
		case "trex":
			h := m.s.field(e, 16)
			if t := m.byID(be32(h, 4)); t != nil {
				t.usual = float64(be32(h, 12))
			}
		}
	}
}

func (m *movie) mehd(h []byte) {
	units := float64(be32(h, 4))
	if len(h) > 0 && h[0] == 1 {
		units = float64(be64(h, 4))
	}
	if m.scale > 0 {
		m.declared = units / m.scale
	}
}

func (m *movie) byID(id uint32) *track {
	for i := range m.tracks {
		if m.tracks[i].id == id {
			return &m.tracks[i]
		}
	}
	return nil
}

// moof adds what a fragment holds to the tracks. From what is in front of it, it can be guessed how long the movie is.
func (m *movie) moof(b box) {
	if m.s.front && m.guess == 0 {
		m.guess = m.longest() * float64(m.s.size) / float64(b.head)
	}
	for traf := range m.s.boxes(b.start, b.end) {
		if traf.kind != "traf" {
			continue
		}
		h := m.s.field(m.s.find(traf, "tfhd"), 28)
		t := m.byID(be32(h, 4))
		if t == nil {
			continue
		}
		usual := t.usual
		if own, ok := tfhdDuration(h); ok {
			usual = own
		}
		for trun := range m.s.boxes(traf.start, traf.end) {
			if trun.kind == "trun" {
				t.ticks += m.trun(trun, usual)
			}
		}
	}
}

// longest is how many seconds the longest track has so far.
func (m *movie) longest() (longest float64) {
	for _, t := range m.tracks {
		if t.scale > 0 {
			longest = max(longest, t.ticks/t.scale)
		}
	}
	return longest
}

// tfhdDuration returns the duration of the fragment's samples; the flags say which fields stand before it.
func tfhdDuration(h []byte) (float64, bool) {
	flags, at := be32(h, 0), 8
	if flags&8 == 0 {
		return 0, false
	}
	if flags&1 != 0 {
		at += 8 // where the data begin
	}
	if flags&2 != 0 {
		at += 4 // which sample description
	}
	return float64(be32(h, at)), true
}

// trun adds up the durations of a run of samples.
func (m *movie) trun(b box, usual float64) float64 {
	h := m.s.field(b, 8)
	flags, count := be32(h, 0), be32(h, 4)
	if flags&0x100 == 0 {
		return float64(count) * usual
	}
	at := b.start + 8
	for _, optional := range []uint32{1, 4} { // where the data begin, the first sample's flags
		if flags&optional != 0 {
			at += 4
		}
	}
	rest := 0 // bytes behind a sample's duration: its size, flags and offset
	for _, optional := range []uint32{0x200, 0x400, 0x800} {
		if flags&optional != 0 {
			rest += 4
		}
	}
	t, sum, skip := m.s.table(at, b.end), 0.0, make([]byte, rest)
	for range count {
		length, ok := t.u32()
		if !ok || !t.next(skip) {
			break
		}
		sum += float64(length)
	}
	return sum
}

// sidx lists the sizes of the fragments behind it: the file must be as long as they are together.
func (m *movie) sidx(b box) {
	h := m.s.field(b, 32)
	at, first := 20, uint64(be32(h, 16))
	if len(h) > 0 && h[0] == 1 {
		at, first = 28, be64(h, 20)
	}
	end := float64(b.end) + float64(first)
	t, entry := m.s.table(b.start+int64(at)+4, b.end), make([]byte, 12)
	for range be32(h, at) & 0xFFFF {
		if !t.next(entry) {
			return
		}
		end += float64(be32(entry, 0) & 0x7FFFFFFF)
	}
	m.cut = m.cut || end > float64(m.s.size)
}

// fragmentFacts: a whole file's track is as long as its fragments are. Of a cut one only mehd knows how long it was, and of one that
// is still to come it may be guessed.
func (m *movie) fragmentFacts(f Facts, t *track) Facts {
	if m.s.more {
		f.Sound = seconds(cmp.Or(m.declared, m.guess))
		return f
	}
	f.Cut = f.Cut || m.longest() < m.declared-lastFragment
	if f.Cut {
		f.Sound = seconds(m.declared)
		return f
	}
	f.Exact, f.Sound = true, m.played(t, t.ticks)
	return f
}

// lastFragment is how many seconds mehd may promise beyond the samples before fragments count as lost: writers round
// it, and count the time that a track begins late.
const lastFragment = 1.0
